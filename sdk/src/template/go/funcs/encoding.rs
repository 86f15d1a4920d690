//! JSON, base 64, base 32 and hashes.

use sha1::Digest;

use super::arguments::bytes;
use super::function::{Env, Function, Type, fixed};
use crate::template::go::json::{self, EncodeError, Style};
use crate::template::go::value::Value;

use Type::{Any, Str};

const PLAIN: Style = Style { html: true, pretty: false };
const PRETTY: Style = Style { html: true, pretty: true };
const RAW: Style = Style { html: false, pretty: false };

pub(super) const TABLE: &[Function] = &[
    fixed("toJson", &[Any], |args, env| encode(args, env, PLAIN, false)),
    fixed("mustToJson", &[Any], |args, env| encode(args, env, PLAIN, true)),
    fixed("toPrettyJson", &[Any], |args, env| encode(args, env, PRETTY, false)),
    fixed("mustToPrettyJson", &[Any], |args, env| encode(args, env, PRETTY, true)),
    fixed("toRawJson", &[Any], |args, env| encode(args, env, RAW, true)),
    fixed("mustToRawJson", &[Any], |args, env| encode(args, env, RAW, true)),
    fixed("fromJson", &[Str], |args, env| decode(args, env, false)),
    fixed("mustFromJson", &[Str], |args, env| decode(args, env, true)),
    fixed("b64enc", &[Str], |args, env| to_base(args, env, &BASE64)),
    fixed("b64dec", &[Str], |args, env| from_base(args, env, from_base64, "base64")),
    fixed("b32enc", &[Str], |args, env| to_base(args, env, &BASE32)),
    fixed("b32dec", &[Str], |args, env| from_base(args, env, from_base32, "base32")),
    fixed("sha1sum", &[Str], |args, env| hash(args, env, |text| hex(&sha1::Sha1::digest(text)))),
    fixed("sha256sum", &[Str], |args, env| hash(args, env, |text| hex(&sha2::Sha256::digest(text)))),
    fixed("adler32sum", &[Str], |args, env| hash(args, env, adler32)),
];

/// Writes a value as JSON. A value without a JSON form is an empty string, or with `must` an error.
fn encode(args: &[Value], env: &Env<'_>, style: Style, must: bool) -> Result<Value, String> {
    match json::encode(&args[0], style, env.meter) {
        Ok(text) => Ok(Value::str(text)),
        Err(EncodeError::Value(_)) if !must => Ok(Value::str("")),
        Err(EncodeError::Value(cause) | EncodeError::Bound(cause)) => Err(cause),
    }
}

/// Parses JSON. A text that is no JSON is nil, or with `must` an error.
fn decode(args: &[Value], env: &Env<'_>, must: bool) -> Result<Value, String> {
    match json::decode(bytes(&args[0]), env.meter) {
        Ok((_, Some(unfit))) if must => Err(unfit),
        Ok((value, _)) => Ok(value),
        Err(malformed) if must || malformed.bound => Err(malformed.message),
        Err(_) => Ok(Value::Nil),
    }
}

fn hash(args: &[Value], env: &Env<'_>, of: fn(&[u8]) -> String) -> Result<Value, String> {
    let text = bytes(&args[0]);
    env.meter.spend(text.len() as u64 / 16)?;
    Ok(Value::str(of(text)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn adler32(text: &[u8]) -> String {
    let (a, b) = text.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    (b << 16 | a).to_string()
}

/// A standard alphabet, and the number of characters in a group.
struct Base {
    alphabet: &'static [u8],
    bits: u32,
    group: usize,
}

const BASE64: Base =
    Base { alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", bits: 6, group: 4 };
const BASE32: Base = Base { alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bits: 5, group: 8 };

impl Base {
    fn digit(&self, byte: u8) -> Option<u32> {
        self.alphabet.iter().position(|other| *other == byte).and_then(|at| u32::try_from(at).ok())
    }

    /// Appends the whole bytes in some digits.
    fn bytes(&self, digits: &[u32], out: &mut Vec<u8>) {
        let (mut buffer, mut bits) = (0u32, 0);
        for digit in digits {
            buffer = buffer << self.bits | digit;
            bits += self.bits;
            if bits >= 8 {
                bits -= 8;
                out.push((buffer >> bits) as u8);
                buffer &= (1 << bits) - 1;
            }
        }
    }
}

fn to_base(args: &[Value], env: &Env<'_>, base: &Base) -> Result<Value, String> {
    let text = bytes(&args[0]);
    env.meter.string(text.len() * 2)?;
    let mut out = Vec::new();
    let (mut buffer, mut bits) = (0u32, 0);
    let mut digit = |value: u32| out.push(base.alphabet[value as usize & (base.alphabet.len() - 1)]);
    for byte in text {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= base.bits {
            bits -= base.bits;
            digit(buffer >> bits);
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        digit(buffer << (base.bits - bits));
    }
    out.resize(out.len().next_multiple_of(base.group), b'=');
    Ok(Value::str(out))
}

/// Decodes a text. On an error at a byte the result is the decoder's message, as in Go.
fn from_base(
    args: &[Value],
    env: &Env<'_>,
    decode: fn(&[u8]) -> Result<Vec<u8>, usize>,
    name: &str,
) -> Result<Value, String> {
    let text = bytes(&args[0]);
    env.meter.string(text.len())?;
    Ok(match decode(text) {
        Ok(text) => Value::str(text),
        Err(at) => Value::str(format!("illegal {name} data at input byte {at}")),
    })
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn from_base64(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::new();
    let mut group = Vec::with_capacity(4);
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if let Some(digit) = BASE64.digit(byte) {
            group.push(digit);
            if group.len() == 4 {
                BASE64.bytes(&group, &mut out);
                group.clear();
            }
        } else if is_newline(byte) {
            continue;
        } else if byte != b'=' || group.len() < 2 {
            return Err(at - 1);
        } else {
            let skip = |mut at: usize| {
                while at < text.len() && is_newline(text[at]) {
                    at += 1;
                }
                at
            };
            if group.len() == 2 {
                at = skip(at);
                match text.get(at) {
                    None => return Err(text.len()),
                    Some(b'=') => at += 1,
                    Some(_) => return Err(at - 1),
                }
            }
            at = skip(at);
            if at < text.len() {
                return Err(at);
            }
            BASE64.bytes(&group, &mut out);
            return Ok(out);
        }
    }
    if group.is_empty() { Ok(out) } else { Err(at - group.len()) }
}

fn from_base32(text: &[u8]) -> Result<Vec<u8>, usize> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !is_newline(*byte)).collect();
    let mut out = Vec::new();
    for (index, group) in text.chunks(8).enumerate() {
        let start = index * 8;
        let last = start + group.len() == text.len();
        let padding = group.iter().position(|byte| *byte == b'=').unwrap_or(group.len());
        let mut digits = Vec::with_capacity(8);
        for (at, byte) in group[..padding].iter().enumerate() {
            digits.push(BASE32.digit(*byte).ok_or(start + at)?);
        }
        if padding < group.len() {
            if padding < 2 || !last {
                return Err(start + padding);
            }
            if group.len() < 8 {
                return Err(text.len());
            }
            if let Some(at) = group[padding..].iter().position(|byte| *byte != b'=') {
                return Err(start + padding + at - 1);
            }
            if matches!(padding, 3 | 6) {
                return Err(start + padding);
            }
        } else if group.len() < 8 {
            return Err(start);
        }
        BASE32.bytes(&digits, &mut out);
    }
    Ok(out)
}
