//! Tokens, of which no signature is recorded.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::Value;

use crate::line::Who;

/// Who sends these headers.
pub(super) fn who(headers: &HeaderMap) -> Who {
    let Some(header) = headers.get(AUTHORIZATION) else { return Who::Administrator };
    let header = header.to_str().unwrap_or_default();
    match header.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            claims(token.trim()).map_or(Who::Unknown, Who::Claims)
        }
        _ => Who::Anonymous,
    }
}

/// The claims of a token.
pub(crate) fn claims(token: &str) -> Option<Value> {
    let claims = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// An answer without the signature of the token that it has.
pub(super) fn unsigned(body: &[u8]) -> Option<Vec<u8>> {
    let mut answer: Value = serde_json::from_slice(body).ok()?;
    let token = answer.pointer_mut("/status/token")?;
    let (content, _) = token.as_str()?.rsplit_once('.')?;
    *token = format!("{content}.not-recorded").into();
    serde_json::to_vec(&answer).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_known_by_its_claims_and_loses_its_signature() {
        let token = format!("e30.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(r#"{"sub":"a"}"#));
        assert_eq!(claims(&token), Some(json!({"sub": "a"})));
        let answer = json!({"status": {"token": token}}).to_string();
        let text = String::from_utf8(unsigned(answer.as_bytes()).expect("an answer")).expect("a text");
        assert!(!text.contains("c2lnbmF0dXJl") && text.contains(".not-recorded"), "{text}");
    }
}
