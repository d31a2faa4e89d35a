//! Exchanges of any size: what limits their time is a standstill, not their length.
//!
//! In: an operation, and where bytes come from or go to. Out: how many came, or a reply. A piece is in memory at a
//! time; what stands still for as long as another exchange may take altogether is given up.

use std::pin::pin;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::multipart::Form;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, watch};

use super::client::Client;
use super::error::{ClientError, Result};
use super::operation::Operation;
use super::transport::{Reply, Transport, counted};

/// However well it moves, an exchange ends after this.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// Where the body of an answer is written to, and how many bytes have been.
struct Destination<'a, W> {
    to: &'a mut W,
    written: u64,
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
        let transport = self.transport();
        // Guards the one destination of all tries, of which one is under way at a time; no other lock is held with it.
        let destination = &Mutex::new(Destination { to, written: 0 });
        let exchange = move |token| async move {
            let mut destination = destination.lock().await;
            counted(operation, transport.save(operation, given, token, &mut destination, most)).await
        };
        self.with_token(exchange).await?.success(operation)?;
        Ok(destination.lock().await.written)
    }

    /// Sends a form of any size. `form` is asked for one with each try, and for a watch that changes while it is read.
    pub(super) async fn upload<F>(&self, operation: &Operation, form: impl Fn() -> F) -> Result<Reply>
    where
        F: Future<Output = Result<(Form, watch::Receiver<u64>)>>,
    {
        let form = &form;
        let exchange = move |token| async move {
            let (form, progress) = form().await?;
            counted(operation, self.transport().push(operation, token, form, progress)).await
        };
        self.with_token(exchange).await
    }
}

impl Transport {
    /// Writes the body of a successful answer to its destination; the reply has none then.
    async fn save(
        &self,
        operation: &Operation,
        given: &[&str],
        token: HeaderValue,
        destination: &mut Destination<'_, impl AsyncWrite + Unpin + Send>,
        most: u64,
    ) -> Result<Reply> {
        let request = self.request(operation, given, Some(token))?.timeout(LONGEST);
        let mut response = self.in_time(operation, request.send()).await?;
        if !response.status().is_success() {
            return self.reply(operation, response).await;
        }
        let too_large = || ClientError::TooLarge { operation: operation.id, limit: most as usize };
        let failed = |source| ClientError::File { operation: operation.id, source };
        if response.content_length().is_some_and(|length| length > most) {
            return Err(too_large());
        }
        while let Some(piece) = self.in_time(operation, response.chunk()).await? {
            destination.written += piece.len() as u64;
            if destination.written > most {
                return Err(too_large());
            }
            destination.to.write_all(&piece).await.map_err(failed)?;
        }
        destination.to.flush().await.map_err(failed)?;
        self.reply(operation, response).await
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
