//! Exchanges of any size: what limits their time is a standstill, not their length.
//!
//! In: an operation, and where bytes come from or go to. Out: how many came, or a reply. A piece is in memory at a
//! time; what stands still for as long as another exchange may take altogether is given up.

use std::pin::pin;
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use reqwest::multipart::Form;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::client::{Answered, Client};
use super::error::{ClientError, Result};
use super::operation::Operation;
use super::transport::{Reply, Transport, count};

/// However well it moves, an exchange ends after this.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// An answer whose body has not been read.
struct Opened(reqwest::Response);

impl Answered for Opened {
    fn status(&self) -> u16 {
        self.0.status().as_u16()
    }
}

impl Client {
    /// Writes the body of a successful answer to `to`, at most `most` bytes; gives how many there were. After an error
    /// some of it may have been written.
    pub(super) async fn download(
        &self,
        operation: &Operation,
        given: &[&str],
        to: &mut (impl AsyncWrite + Unpin + Send),
        most: u64,
    ) -> Result<u64> {
        let started = Instant::now();
        let transport = self.transport();
        let opened = self.with_token(move |token| transport.open(operation, given, token)).await;
        let (status, result) = match opened {
            Ok(opened) => (Some(opened.status()), transport.save(operation, opened.0, to, most).await),
            Err(error) => (None, Err(error)),
        };
        match (&result, status) {
            (Err(error), None) => count(operation, started, Err(error)),
            (Err(error), Some(200..300)) => count(operation, started, Err(error)),
            (_, Some(status)) => count(operation, started, Ok(status)),
            // Bytes do not come without a status.
            (Ok(_), None) => {}
        }
        result
    }

    /// Sends a form of any size. `form` is asked for one with each try, and for a watch that changes while it is read.
    pub(super) async fn upload<F>(&self, operation: &Operation, form: impl Fn() -> F) -> Result<Reply>
    where
        F: Future<Output = Result<(Form, watch::Receiver<u64>)>>,
    {
        let (transport, form) = (self.transport(), &form);
        let exchange = move |token: HeaderValue| async move {
            let started = Instant::now();
            let (form, progress) = form().await?;
            let result = transport.push(operation, token, form, progress).await;
            count(operation, started, result.as_ref().map(|reply| reply.status));
            result
        };
        self.with_token(exchange).await
    }
}

impl Transport {
    async fn open(&self, operation: &Operation, given: &[&str], token: HeaderValue) -> Result<Opened> {
        let request = self.request(operation, given, Some(token))?.timeout(LONGEST);
        self.in_time(operation, request.send()).await.map(Opened)
    }

    async fn save(
        &self,
        operation: &Operation,
        mut response: reqwest::Response,
        to: &mut (impl AsyncWrite + Unpin + Send),
        most: u64,
    ) -> Result<u64> {
        if !response.status().is_success() {
            return self.reply(operation, response).await?.success(operation).map(|_| 0);
        }
        let too_large = || ClientError::TooLarge { operation: operation.id, limit: most as usize };
        let failed = |source| ClientError::File { operation: operation.id, source };
        if response.content_length().is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let mut written = 0;
        while let Some(piece) = self.in_time(operation, response.chunk()).await? {
            written += piece.len() as u64;
            if written > most {
                return Err(too_large());
            }
            to.write_all(&piece).await.map_err(failed)?;
        }
        to.flush().await.map_err(failed)?;
        Ok(written)
    }

    async fn push(
        &self,
        operation: &Operation,
        token: HeaderValue,
        form: Form,
        mut progress: watch::Receiver<u64>,
    ) -> Result<Reply> {
        let request = self.request(operation, &[], Some(token))?.timeout(LONGEST).multipart(form);
        let mut sending = pin!(request.send());
        let response = loop {
            let moved = async {
                match tokio::time::timeout(self.timeout, progress.changed()).await {
                    Ok(changed) if changed.is_ok() => true,
                    // The whole file has been read: only the answer is missing.
                    Ok(_) => {
                        tokio::time::sleep(self.timeout).await;
                        false
                    }
                    Err(_) => false,
                }
            };
            tokio::select! {
                sent = &mut sending => break sent.map_err(|source| self.failed(operation, source))?,
                moved = moved => if !moved {
                    return Err(self.late(operation));
                },
            }
        };
        let reply = self.reply(operation, response);
        tokio::time::timeout(self.timeout, reply).await.map_err(|_| self.late(operation))?
    }

    /// Waits for one step of an exchange, none of which may take longer than a whole exchange otherwise does.
    async fn in_time<T>(
        &self,
        operation: &Operation,
        step: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.timeout, step).await {
            Ok(done) => done.map_err(|source| self.failed(operation, source)),
            Err(_) => Err(self.late(operation)),
        }
    }

    fn late(&self, operation: &Operation) -> ClientError {
        ClientError::TimedOut { operation: operation.id, after_ms: self.timeout.as_millis() }
    }
}
