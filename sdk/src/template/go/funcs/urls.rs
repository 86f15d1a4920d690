//! URLs: parsing and joining their parts.

use std::net::Ipv6Addr;

use super::arguments::{bytes, map, text, with_article};
use super::function::{Env, Function, Type, fixed};
use crate::template::go::value::{Text, Value};

pub(super) const TABLE: &[Function] = &[
    fixed("urlParse", &[Type::Str], |args, env| {
        env.meter.string(bytes(&args[0]).len() * 2)?;
        parse(&text(&args[0])).map(parts)
    }),
    fixed("urlJoin", &[Type::AnyMap], join),
];

/// A part of a URL, which determines the bytes that need no escape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Host,
    Zone,
    User,
    Path,
    Fragment,
}

impl Place {
    fn allows(self, byte: u8) -> bool {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            return true;
        }
        match self {
            Place::Host | Place::Zone => b"!$&'()*+,;=:[]<>\"".contains(&byte),
            Place::User => b"$&+,;=".contains(&byte),
            Place::Path => b"$&+,/:;=@".contains(&byte),
            Place::Fragment => b"$&+,/:;=?@!()*".contains(&byte),
        }
    }
}

fn escape(text: &[u8], place: Place) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if place.allows(*byte) {
            out.push(*byte);
        } else {
            out.extend(format!("%{byte:02X}").bytes());
        }
    }
    out
}

fn unescape(text: &str, place: Place) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let host = matches!(place, Place::Host | Place::Zone);
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte != b'%' {
            if host && byte.is_ascii() && !place.allows(byte) {
                return Err(format!("the host of the URL cannot have {:?} in it", byte as char));
            }
            out.push(byte);
            at += 1;
            continue;
        }
        let digits = text.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let allowed = |code: &u8| match place {
            Place::Host => !code.is_ascii() || *code == b'%',
            Place::Zone => matches!(code, b'%' | b' ') || Place::Host.allows(*code),
            _ => true,
        };
        match code.filter(allowed) {
            Some(code) => out.push(code),
            None => return Err("the URL has an escape with % that is none".into()),
        }
        at += 3;
    }
    Ok(out)
}

/// The parts of a URL, as `urlParse` names them.
#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    host: Vec<u8>,
    path: Vec<u8>,
    query: String,
    fragment: Vec<u8>,
}

fn parse(text: &str) -> Result<Url, String> {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    if rest.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("the URL has a control character in it".into());
    }
    let mut url = Url { fragment: unescape(fragment, Place::Fragment)?, ..Url::default() };
    if rest == "*" {
        url.path = b"*".to_vec();
        return Ok(url);
    }
    let rest = match scheme(rest)? {
        Some((scheme, rest)) => {
            url.scheme = scheme.to_ascii_lowercase();
            rest
        }
        None => rest,
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    url.query = query.to_owned();
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_owned();
            return Ok(url);
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("the first part of a URL without a scheme cannot have a colon in it".into());
        }
    }
    let path = match rest.strip_prefix("//") {
        Some(authority) if !url.scheme.is_empty() || !rest.starts_with("///") => {
            let (authority, path) = authority.split_at(authority.find('/').unwrap_or(authority.len()));
            url.authority(authority)?;
            path
        }
        _ => rest,
    };
    url.path = unescape(path, Place::Path)?;
    Ok(url)
}

/// Splits off the scheme and its colon, if there is one.
fn scheme(text: &str) -> Result<Option<(&str, &str)>, String> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(text.len());
    if !text[end..].starts_with(':') || text.starts_with(|c: char| !c.is_ascii_alphabetic() && c != ':') {
        return Ok(None);
    }
    if end == 0 {
        Err("the URL has no scheme before its colon".into())
    } else {
        Ok(Some((&text[..end], &text[end + 1..])))
    }
}

impl Url {
    fn authority(&mut self, authority: &str) -> Result<(), String> {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        self.host = self.parse_host(host)?;
        let Some(user) = user else { return Ok(()) };
        if !user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b)) {
            return Err("the user in the URL has a character in it that must be escaped with %".into());
        }
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(unescape(password, Place::User)?)),
            None => (user, None),
        };
        self.user = Some((unescape(name, Place::User)?, password));
        Ok(())
    }

    fn parse_host(&self, host: &str) -> Result<Vec<u8>, String> {
        let bad_port = || Err("the port in the URL is no number".to_owned());
        if let Some(open) = host.rfind('[') {
            let Some(close) = host.rfind(']').filter(|_| open == 0) else {
                return Err("the brackets around the address in the URL do not match".into());
            };
            let (address, port) = (&host[1..close], &host[close + 1..]);
            if !is_port(port) {
                return bad_port();
            }
            let (address, zone) = address.split_at(address.find("%25").unwrap_or(address.len()));
            let (address, zone) = (unescape(address, Place::Host)?, unescape(zone, Place::Zone)?);
            let valid = std::str::from_utf8(&address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
            if !valid || zone.len() == 1 {
                return Err("the address in brackets in the URL is no IPv6 address".into());
            }
            return Ok([b"[", &address[..], &zone, b"]", port.as_bytes()].concat());
        }
        let strict = matches!(self.scheme.as_str(), "http" | "https");
        let colon = if strict { host.find(':') } else { host.rfind(':') };
        if colon.is_some_and(|at| !is_port(&host[at..])) {
            return bad_port();
        }
        unescape(host, Place::Host)
    }
}

/// Whether a text is empty, or a colon and digits.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

fn user_info(user: &Option<(Vec<u8>, Option<Vec<u8>>)>) -> Vec<u8> {
    match user {
        None => Vec::new(),
        Some((name, None)) => escape(name, Place::User),
        Some((name, Some(password))) => {
            [escape(name, Place::User), b":".to_vec(), escape(password, Place::User)].concat()
        }
    }
}

/// Returns the host without its port and brackets.
fn host_name(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|byte| *byte == b':');
    let host = match colon {
        Some(at) if host[at + 1..].iter().all(u8::is_ascii_digit) => &host[..at],
        _ => host,
    };
    host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
}

fn parts(url: Url) -> Value {
    let entries = [
        ("scheme", url.scheme.into_bytes()),
        ("hostname", host_name(&url.host).to_vec()),
        ("host", url.host),
        ("path", url.path),
        ("query", url.query.into_bytes()),
        ("opaque", url.opaque.into_bytes()),
        ("fragment", url.fragment),
        ("userinfo", user_info(&url.user)),
    ];
    Value::map(entries.into_iter().map(|(key, value)| (Text::from(key.as_bytes()), Value::str(value))))
}

fn join(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let entry = |key: &str| match map(&args[0]).and_then(|map| map.get(key.as_bytes())) {
        None => Ok(Text::default()),
        Some(Value::Str(text)) => Ok(text),
        Some(other) => Err(format!("{key:?} holds {}, not a string", with_article(&other))),
    };
    let (scheme, host, path, query) = (entry("scheme")?, entry("host")?, entry("path")?, entry("query")?);
    let (opaque, fragment, user) = (entry("opaque")?, entry("fragment")?, entry("userinfo")?);
    let all = [&scheme, &host, &path, &query, &opaque, &fragment, &user];
    env.meter.string(all.iter().map(|part| part.len() * 3).sum())?;
    let user = match user.is_empty() {
        true => None,
        false => parse(&format!("proto://{}@host", text(&Value::Str(user))))?.user,
    };
    let mut out = Vec::new();
    if !scheme.is_empty() {
        out.extend([&scheme[..], b":"].concat());
    }
    if opaque.is_empty() {
        let has_authority = !scheme.is_empty() || !host.is_empty() || user.is_some();
        if has_authority && (!host.is_empty() || !path.is_empty() || user.is_some()) {
            out.extend(b"//");
        }
        if user.is_some() {
            out.extend([user_info(&user), b"@".to_vec()].concat());
        }
        out.extend(escape(&host, Place::Host));
        // A path that is only an asterisk is never escaped.
        let escaped = if &path[..] == b"*" { path.to_vec() } else { escape(&path, Place::Path) };
        if !escaped.is_empty() && !escaped.starts_with(b"/") && !host.is_empty() {
            out.push(b'/');
        }
        if out.is_empty() && escaped.split(|b| *b == b'/').next().is_some_and(|first| first.contains(&b':')) {
            out.extend(b"./");
        }
        out.extend(escaped);
    } else {
        out.extend(&opaque[..]);
    }
    for (mark, part) in [(b"?", query.to_vec()), (b"#", escape(&fragment, Place::Fragment))] {
        if !part.is_empty() {
            out.extend(mark);
            out.extend(part);
        }
    }
    Ok(Value::str(out))
}
