//! Admission webhooks in the process of a test: an HTTPS server for any router, and a webhook that denies.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// Error of serving a webhook.
pub type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Serves `router` over TLS until the listener fails.
///
/// # Errors
/// The certificate or the key cannot be read.
pub async fn serve(
    listener: TcpListener,
    certificate: &Path,
    key: &Path,
    router: Router,
) -> Result<(), Trouble> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    axum::serve(Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }, router).await?;
    Ok(())
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
            match self.acceptor.accept(stream).await {
                Ok(stream) => return (stream, address),
                Err(error) => tracing::warn!(%error, "a connection that does not speak TLS"),
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Serves a validating webhook that denies every request with this text, until the runtime of the test ends. Returns the
/// `clientConfig` for an API server on this machine.
///
/// # Errors
/// `openssl` makes no certificate, or no port is free.
pub async fn denying(says: String) -> Result<Value, Trouble> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let folder = std::env::temp_dir().join(format!("backstay-webhook-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-noenc",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=webhook", "-addext", "subjectAltName=IP:127.0.0.1", "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into());
    }
    let bundle = std::fs::read(&certificate)?;
    let router = Router::new().route("/", post(deny)).with_state(says);
    tokio::spawn(async move {
        let ended = serve(listener, &certificate, &key, router).await;
        tracing::warn!(?ended, "the webhook is no longer served");
    });
    let bundle = k8s_openapi::ByteString(bundle);
    Ok(json!({"url": format!("https://127.0.0.1:{port}/"), "caBundle": bundle}))
}

async fn deny(State(says): State<String>, body: Bytes) -> impl IntoResponse {
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let response = json!({"uid": review["request"]["uid"], "allowed": false, "status": {"message": says}});
    let answer =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string())
}
