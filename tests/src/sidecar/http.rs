//! The part of HTTP that a client of the sidecar needs.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a client may take to send a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server checks whether the client has closed the connection.
const GLANCE: Duration = Duration::from_millis(20);

/// A request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path without the query.
    pub(super) path: String,
    pub(super) query: String,
    /// The header `Authorization`.
    pub(super) authorization: String,
    /// The header `Host`.
    pub(super) host: String,
    pub(super) body: String,
}

/// An answer: status and body.
pub(super) type Answer = (u16, String);

/// Answers one request. As with Go's server, a client that closes its side gets no answer.
pub(super) fn serve(stream: TcpStream, answer: impl FnOnce(&Request) -> Answer) {
    if stream.set_read_timeout(Some(TIMEOUT)).is_err() {
        return;
    }
    let mut reader = BufReader::new(&stream);
    let Some(request) = read(&mut reader) else { return };
    if stream.set_read_timeout(Some(GLANCE)).is_err() {
        return;
    }
    match stream.peek(&mut [0]) {
        Ok(_) => return,
        Err(e) if !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
        Err(_) => {}
    }
    let (status, body) = answer(&request);
    let head =
        format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
    // The client may have closed the connection.
    let _ = (&stream).write_all(format!("{head}{body}").as_bytes());
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut length = Some(0);
    let mut request =
        Request { method, path: path.to_owned(), query: query.to_owned(), ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            let length = length.filter(|_| line.trim_end().is_empty())?;
            reader.take(length).read_to_string(&mut request.body).ok()?;
            return (request.body.len() as u64 == length).then_some(request);
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.clone_into(&mut request.authorization),
            "host" => value.clone_into(&mut request.host),
            "content-length" => length = value.parse().ok(),
            _ => {}
        }
    }
}
