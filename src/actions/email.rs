//! The `email` action: a mail through an SMTP server, tried again where that can help.
//!
//! In: an event, and the crop when it is wanted. Out: done when the server has taken the mail for every recipient;
//! else why not, without anybody's address. Every recipient has a delivery of their own, so that one whose mailbox is
//! refused costs the others nothing and nobody gets it twice for somebody else's sake; an address that cannot be
//! filled in costs the others nothing either. The mail is the same on every try, its Message-ID too.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::retry::{Failure, Retry, in_time};
use super::setup::{ActionError, Setup};
use super::template::{Place, Template, context};
use super::{Performed, Said, Undone};
use crate::config::{EmailConfig, PictureIn, Security};
use crate::rules::ActionRequest;

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// What is said of a server that takes too long.
const SILENT: &str = "the server did not take it";
/// What the picture in the text is referred to by.
const PICTURE_ID: &str = "picture";

/// A mail made ready.
pub struct Email {
    smtp: Smtp,
    from: Mailbox,
    to: Vec<Template>,
    subject: Template,
    body: Template,
    picture: PictureIn,
    retry: Retry,
}

/// A mail under way: who has yet to get it, and who never will. A delivery stays open until the server has said the
/// last word about it, so a try can be broken off at any time.
struct Deliveries {
    open: Vec<Delivery>,
    /// Why some recipients will never get it.
    refused: Vec<String>,
}

/// One recipient who has not got it yet.
struct Delivery {
    /// The recipient's place in `to`, from 0; addresses are not for logs.
    number: usize,
    envelope: Envelope,
    mail: Arc<[u8]>,
}

impl Email {
    /// Compiles the templates and reads the certificates; nothing is sent.
    pub fn new(action: &str, config: &EmailConfig) -> Result<Self, ActionError> {
        let mut setup = Setup::new(action);
        let to = config.to.iter().enumerate();
        let to = to.map(|(n, source)| setup.template(format!("to[{n}]"), source, Place::Text)).collect();
        let subject = setup.template("subject", &config.subject, Place::Text);
        let body = setup.template("body", &config.body, Place::Text);
        let from = config.from.parse();
        let from = from.map_err(|_| setup.fail("from", "it is no address, like `Door <door@site.example>`"))?;
        let mut tls = || tls(config).map_err(|problem| setup.fail("ca_file", problem));
        let tls = match config.security {
            Security::None => Tls::None,
            Security::Starttls => Tls::Required(tls()?),
            Security::Tls => Tls::Wrapper(tls()?),
        };
        let timeout = Duration::from_millis(config.timeout_ms);
        let mut smtp = Smtp::builder_dangerous(&config.host).port(config.port()).tls(tls).timeout(Some(timeout));
        if let (Some(username), Some(password)) = (&config.username, &config.password) {
            smtp = smtp.credentials(Credentials::new(username.clone(), password.expose_secret().to_owned()));
        }
        setup.finish(Self {
            smtp: smtp.build(),
            from,
            to,
            subject,
            body,
            picture: config.picture,
            retry: Retry::new(config.timeout_ms, config.tries, config.within_ms),
        })
    }

    /// Sends it to everybody, or to as many as it can.
    pub async fn perform(&self, request: &ActionRequest) -> Performed {
        let deliveries = self.written(request)?;
        let all = deliveries.open.len() + deliveries.refused.len();
        // Guards what one try hands on to the next; they follow each other, so nobody ever waits for it.
        let under_way = &Mutex::new(deliveries);
        let once = |timeout| async move {
            let mut deliveries = under_way.lock().await;
            in_time(timeout, SILENT, self.try_once(&mut deliveries, timeout)).await
        };
        let result = self.retry.run(request, once).await;
        let Deliveries { open, refused } = &*under_way.lock().await;
        let said = Some(format!("taken for {} of {all}", all - open.len() - refused.len()));
        let problems: Vec<String> =
            result.err().map(|undone| undone.reason).into_iter().chain(refused.iter().cloned()).collect();
        match problems.is_empty() {
            true => Ok(said),
            false => Err(Undone { reason: problems.join("; "), said }),
        }
    }

    /// The mail and whom it goes to, or what is wrong with every one of them.
    fn written(&self, request: &ActionRequest) -> Result<Deliveries, String> {
        let event = context(&request.inputs);
        let (mut recipients, mut refused) = (Vec::new(), Vec::new());
        for (n, template) in self.to.iter().enumerate() {
            match template.fill(&event).and_then(|text| self.recipient(text.trim(), template)) {
                Ok(Some((mailbox, envelope))) => recipients.push((n, mailbox, envelope)),
                Ok(None) => {}
                // What is wrong with one address is no reason to leave the others without the mail.
                Err(reason) => refused.push(reason),
            }
        }
        match (&recipients[..], &refused[..]) {
            ([], []) => return Err("there is nobody to send it to: every `to` is empty for this event".into()),
            ([], refused) => return Err(refused.join("; ")),
            _ => {}
        }
        // Those whose address is ASCII get a mail that is, too: a server without SMTPUTF8 takes no other address in
        // its head.
        let ascii = |envelope: &Envelope| {
            envelope.from().into_iter().chain(envelope.to()).all(|address| AsRef::<str>::as_ref(address).is_ascii())
        };
        let mail = |everybody: bool| -> Result<Arc<[u8]>, String> {
            let named = recipients.iter().filter(|(_, _, envelope)| everybody || ascii(envelope));
            self.mail(request, &event, named.map(|(_, mailbox, _)| mailbox.clone()).collect())
        };
        let plain = recipients.iter().any(|(_, _, envelope)| ascii(envelope)).then(|| mail(false)).transpose()?;
        let full = recipients.iter().any(|(_, _, envelope)| !ascii(envelope)).then(|| mail(true)).transpose()?;
        let open = recipients.iter().filter_map(|(number, _, envelope)| {
            let mail = if ascii(envelope) { plain.clone() } else { full.clone() };
            Some(Delivery { number: *number, envelope: envelope.clone(), mail: mail? })
        });
        Ok(Deliveries { open: open.collect(), refused })
    }

    /// The mail as it goes over the wire, to these people.
    fn mail(&self, request: &ActionRequest, event: &minijinja::Value, to: Mailboxes) -> Result<Arc<[u8]>, String> {
        let subject = one_line(&self.subject.fill(event)?);
        let body = self.body.fill(event)?;
        let id = format!("<{}@{}>", request.key, self.from.email.domain());
        let mail = Message::builder()
            .from(self.from.clone())
            .mailbox(lettre::message::header::To::from(to))
            .subject(subject)
            .date(SystemTime::now())
            .message_id(Some(id))
            // No out-of-office notice comes back for it (RFC 3834).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()));
        let picture = request.picture.as_ref().filter(|_| self.picture != PictureIn::None);
        let jpeg = || ContentType::parse("image/jpeg").map_err(|_| "the picture has no content type".to_owned());
        let mail = match picture {
            None => mail.singlepart(SinglePart::plain(body)),
            Some(picture) if self.picture == PictureIn::Attached => {
                let picture = Attachment::new("picture.jpg".into()).body(picture.to_vec(), jpeg()?);
                mail.multipart(MultiPart::mixed().singlepart(SinglePart::plain(body)).singlepart(picture))
            }
            Some(picture) => {
                let html = format!("{}<p><img src=\"cid:{PICTURE_ID}\" alt=\"\"></p>", html(&body));
                let picture = Attachment::new_inline(PICTURE_ID.into()).body(picture.to_vec(), jpeg()?);
                let shown = MultiPart::related().singlepart(SinglePart::html(html)).singlepart(picture);
                mail.multipart(MultiPart::alternative().singlepart(SinglePart::plain(body)).multipart(shown))
            }
        };
        // The parts of an address and of a header were checked when they were read.
        let mail = mail.map_err(|_| "the mail cannot be written".to_owned())?;
        Ok(mail.formatted().into())
    }

    /// A filled-in address; `None` where it is empty.
    fn recipient(&self, text: &str, template: &Template) -> Result<Option<(Mailbox, Envelope)>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || template.cannot("it is no address");
        let mailbox: Mailbox = text.parse().map_err(|_| wrong())?;
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![mailbox.email.clone()]);
        Ok(Some((mailbox, envelope.map_err(|_| wrong())?)))
    }

    /// Every open delivery, once, until one fails for a reason that is everybody's.
    async fn try_once(&self, deliveries: &mut Deliveries, timeout: Duration) -> Result<Said, Failure> {
        let (mut postponed, mut result) = (0, Ok(None));
        while let Some(Delivery { number, envelope, mail }) = deliveries.open.get(postponed) {
            let problem = match self.smtp.send_raw(envelope, mail).await {
                Ok(_) => None,
                Err(error) => Some(Problem::of(&error, timeout)),
            };
            match problem {
                None => {}
                Some(Problem::Refused { why }) => deliveries.refused.push(format!("`to[{number}]` {why}")),
                Some(Problem::Postponed { code }) => {
                    result = Err(Failure::maybe_sent(format!("`to[{number}]` is put off ({code})")));
                    postponed += 1;
                    continue;
                }
                Some(Problem::Server(failure)) => return Err(failure),
            }
            deliveries.open.remove(postponed);
        }
        result
    }
}

/// Why a delivery was not made.
enum Problem {
    /// The server refuses the recipient for good: 5xx, or an address, its own or the sender's, has letters outside
    /// ASCII, which this server does not take.
    Refused { why: String },
    /// The server refuses the recipient for now: 4xx.
    Postponed { code: u16 },
    /// The failure is not about the recipient: the rest would fare the same.
    Server(Failure),
}

impl Problem {
    /// Classified without the server's own text, which holds addresses.
    fn of(error: &lettre::transport::smtp::Error, timeout: Duration) -> Self {
        if let Some(code) = error.status() {
            let code = u16::from(code);
            return match code {
                530 | 534 | 535 | 538 => Self::Server(Failure::for_good(format!(
                    "the server refuses the login ({code}); check `username` and its password"
                ))),
                421 => Self::Server(Failure::maybe_sent("the server is closing (421)")),
                _ if error.is_permanent() => Self::Refused { why: format!("is refused ({code})") },
                _ => Self::Postponed { code },
            };
        }
        // The library says in words alone which extension is missing.
        let lacks =
            |extension: &str| error.is_client() && error.source().is_some_and(|s| s.to_string().contains(extension));
        if lacks("SMTPUTF8") {
            let why = "needs SMTPUTF8, for letters outside ASCII in an address; the server does not offer it".into();
            return Self::Refused { why };
        }
        let reason = if lacks("8BITMIME") {
            "the server does not offer 8BITMIME, which an address with letters outside ASCII in the mail needs"
        } else if is_untrusted(error) {
            "no trusted TLS connection to the server; for one of your own name its authority's certificate in `ca_file`"
        } else if error.is_client() {
            "the server offers no encryption or no way to log in that is known here; `security` says what is wanted"
        } else if error.is_response() {
            "what answers does not speak SMTP; with `security = \"tls\"` the port is usually 465"
        } else if error.is_timeout() {
            return Self::Server(Failure::too_late(SILENT, timeout));
        } else {
            return Self::Server(Failure::maybe_sent("the connection to the server failed or broke"));
        };
        Self::Server(Failure::for_good(reason))
    }
}

/// Whether the server's certificate is what is wrong, somewhere down the chain of causes.
fn is_untrusted(error: &lettre::transport::smtp::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = cause.downcast_ref() {
            return true;
        }
        // `source` of an I/O error skips the error it wraps.
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    false
}

fn tls(config: &EmailConfig) -> Result<TlsParameters, String> {
    let mut tls = TlsParameters::builder(config.host.clone());
    if let Some(file) = &config.ca_file {
        tls = tls.add_root_certificate(certificates(file)?);
    }
    tls.build_rustls().map_err(|_| "its certificates cannot be used".to_owned())
}

fn certificates(file: &Path) -> Result<Certificate, String> {
    let pem = std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let none = || format!("{} holds no certificate in PEM form", file.display());
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(none());
    }
    Certificate::from_pem(&pem).map_err(|_| none())
}

/// A subject is one line.
fn one_line(text: &str) -> String {
    text.split(char::is_control).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Text as HTML that looks the same.
fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    format!("<p>{}</p>", text.trim_end().replace('\n', "<br>\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_tamed_for_its_place() {
        assert_eq!(one_line(" Eve\r\nBcc: all@site.example\u{7}! "), "Eve Bcc: all@site.example !");
        assert_eq!(html("<b>Zoë</b>\n\"&\"\n"), "<p>&lt;b&gt;Zoë&lt;/b&gt;<br>\n&quot;&amp;&quot;</p>");
    }
}
