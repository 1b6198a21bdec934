//! Replaces `tls.rs` without the feature `smtp-tls`: no certificate can be created, so there are no
//! TLS streams.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::fault::WrongCertificate;

pub(super) enum TlsStream {}

pub(super) fn socket(stream: &mut TlsStream) -> &mut TcpStream {
    match *stream {}
}

pub(super) enum Certificates {}

impl Certificates {
    pub(super) fn make() -> io::Result<Self> {
        let words = "an SMTP server with TLS needs the feature `smtp-tls` of anymail-test-utils";
        Err(io::Error::new(io::ErrorKind::Unsupported, words))
    }

    pub(super) fn ca_pem(&self) -> &str {
        match *self {}
    }

    pub(super) async fn accept(
        &self,
        _: TcpStream,
        _: Option<WrongCertificate>,
    ) -> io::Result<TlsStream> {
        match *self {}
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}
