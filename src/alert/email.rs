//! Mail through one SMTP server, as the configuration says. Not for retries and limits (`delivery`, `notices`).
//!
//! Each attempt opens a connection of its own: a server that closed an idle one is no failure of the message. Recipients are offered
//! one by one, so that one that is refused does not stop the others.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crmwatch_detectors::Severity;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{MultiPart, MultiPartKind, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{Certificate, SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};
use sha2::{Digest, Sha256};

use super::{Channel, Delivery, Failure};
use crate::config::{Email, MailSecurity};
use crate::ledger::Letter;
use crate::text;

/// No answer of the server takes longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is wrong with the settings, as far as it can be seen without the server.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// A file cannot be read.
    #[error("[email] {key}: {path} cannot be read: {source}; let the daemon's user read it, or name another file")]
    File {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A credential's name without the place where systemd puts it.
    #[error(
        "[email] {key}: no credential {name:?}: add LoadCredential={name}:/path/of/the/secret to the unit, or name a file with its full path"
    )]
    Credential {
        /// The setting.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// Only one of user name and password.
    #[error("[email] has only one of username_credential and password_credential: name both or none")]
    Half,
    /// TLS cannot be set up.
    #[error("[email] TLS cannot be set up: {0}; ca_file must hold certificates in PEM form")]
    Tls(String),
}

/// The mail channel.
pub struct EmailChannel {
    email: Email,
}

impl EmailChannel {
    /// Checks what can be checked without the server: credentials and certificates are there.
    pub fn new(email: Email) -> Result<EmailChannel, EmailError> {
        let channel = EmailChannel { email };
        channel.credentials()?;
        channel.tls()?;
        Ok(channel)
    }

    /// Read at each connection: secrets may be renewed, and none stays in memory for long.
    fn credentials(&self) -> Result<Option<Credentials>, EmailError> {
        match (&self.email.username_credential, &self.email.password_credential) {
            (None, None) => Ok(None),
            (Some(user), Some(password)) => Ok(Some(Credentials::new(
                secret("username_credential", user)?,
                secret("password_credential", password)?,
            ))),
            _ => Err(EmailError::Half),
        }
    }

    fn tls(&self) -> Result<Option<TlsParameters>, EmailError> {
        if self.email.security == MailSecurity::Plain {
            return Ok(None);
        }
        let mut builder = TlsParameters::builder(self.host().to_owned());
        if let Some(path) = &self.email.ca_file {
            let pem = std::fs::read(path).map_err(|source| EmailError::File {
                key: "ca_file",
                path: path.clone(),
                source,
            })?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| EmailError::Tls(error.to_string()))?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build_rustls().map(Some).map_err(|error| EmailError::Tls(error.to_string()))
    }

    fn host(&self) -> &str {
        self.email.host.trim_matches(['[', ']'])
    }

    fn connect(&self) -> Result<SmtpConnection, Failure> {
        match self.connect_once() {
            // A server that hangs up at once may have been restarting; one that is silent has taken long enough.
            Err(Connecting::Smtp(error)) if error.status().is_none() && !error.is_timeout() => {
                self.connect_once().map_err(Connecting::failure)
            }
            result => result.map_err(Connecting::failure),
        }
    }

    fn connect_once(&self) -> Result<SmtpConnection, Connecting> {
        let credentials = self.credentials().map_err(Connecting::Settings)?;
        let tls = self.tls().map_err(Connecting::Settings)?;
        let name = ClientId::default();
        let wrapped = tls.as_ref().filter(|_| self.email.security == MailSecurity::Tls);
        let mut connection =
            SmtpConnection::connect((self.host(), self.email.port), Some(TIMEOUT), &name, wrapped, None)?;
        if self.email.security == MailSecurity::StartTls
            && let Some(tls) = &tls
        {
            // Fails where the server does not offer it: nothing is said in the clear.
            connection.starttls(tls, &name)?;
        }
        if let Some(credentials) = credentials
            && let Err(error) = connection.auth(DEFAULT_MECHANISMS, &credentials)
        {
            connection.abort();
            return Err(error.into());
        }
        Ok(connection)
    }

    fn message(&self, message_id: &str, letter: &Letter, recipients: &[String]) -> Result<Vec<u8>, Failure> {
        let wrong = |error: lettre::error::Error| Failure::Never(format!("the mail cannot be built: {error}"));
        let date = u64::try_from(letter.date).unwrap_or(0);
        let mut builder = Message::builder()
            .from(self.email.from.clone())
            .date(UNIX_EPOCH + Duration::from_millis(date))
            .message_id(Some(message_id.to_owned()))
            .subject(text::header(&letter.subject));
        for mailbox in &self.email.to {
            builder = builder.to(mailbox.clone());
        }
        if let Some(last) = letter.references.last() {
            builder = builder.in_reply_to(last.clone()).references(letter.references.join(" "));
        }
        for (name, value) in [
            ("Auto-Submitted", "auto-generated"),
            // No out-of-office answers from Exchange.
            ("X-Auto-Response-Suppress", "All"),
            ("X-Crmwatch-Severity", letter.severity.word()),
            ("X-Crmwatch-Rule", letter.rule.as_str()),
        ] {
            if !value.is_empty() {
                let name = HeaderName::new_from_ascii(name.to_owned()).expect("a plain name");
                builder = builder.raw_header(HeaderValue::new(name, text::header(value)));
            }
        }
        let envelope = lettre::address::Envelope::new(
            Some(self.email.from.email.clone()),
            recipients.iter().filter_map(|one| one.parse().ok()).collect(),
        )
        .map_err(wrong)?;
        let boundary: String = Sha256::digest(message_id).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let body = MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            .boundary(boundary)
            .build()
            .singlepart(SinglePart::plain(letter.text.clone()))
            .singlepart(SinglePart::html(letter.html.clone()));
        Ok(builder.envelope(envelope).multipart(body).map_err(wrong)?.formatted())
    }
}

/// What kept a connection from being made.
enum Connecting {
    Settings(EmailError),
    Smtp(SmtpError),
}

impl From<SmtpError> for Connecting {
    fn from(error: SmtpError) -> Connecting {
        Connecting::Smtp(error)
    }
}

impl Connecting {
    /// Also a login that is refused for good blocks the way only until somebody mends it: no message is given up for it.
    fn failure(self) -> Failure {
        match self {
            Connecting::Settings(error) => Failure::Way(error.to_string()),
            Connecting::Smtp(error) => Failure::Way(said(&error)),
        }
    }
}

/// What the server said, as one harmless line.
fn said(error: &SmtpError) -> String {
    text::cut(&text::one_line(&error.to_string()), 500).into_owned()
}

/// The failure of a message, once the way was open.
fn failure(error: &SmtpError) -> Failure {
    if error.is_permanent() {
        Failure::Never(said(error))
    } else if error.is_transient() {
        Failure::Later(said(error))
    } else {
        Failure::Way(said(error))
    }
}

/// A secret by the name of a systemd credential, or from a file.
fn secret(key: &'static str, name: &str) -> Result<String, EmailError> {
    let path = if name.contains('/') {
        PathBuf::from(name)
    } else {
        match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(folder) => Path::new(&folder).join(name),
            None => return Err(EmailError::Credential { key, name: name.to_owned() }),
        }
    };
    let text = std::fs::read_to_string(&path).map_err(|source| EmailError::File { key, path, source })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

impl Channel for EmailChannel {
    fn name(&self) -> &'static str {
        "email"
    }

    fn least_severity(&self) -> Severity {
        self.email.min_severity
    }

    fn max_per_hour(&self) -> u32 {
        self.email.max_per_hour
    }

    fn recipients(&self) -> Vec<String> {
        self.email.to.iter().map(|mailbox| mailbox.email.to_string()).collect()
    }

    fn domain(&self) -> String {
        self.email.from.email.domain().to_owned()
    }

    fn send(&mut self, message_id: &str, letter: &Letter, recipients: &[String]) -> Result<Delivery, Failure> {
        let message = self.message(message_id, letter, recipients)?;
        let mut connection = self.connect()?;
        let result = offer(&mut connection, &self.email.from.email, recipients, &message);
        match &result {
            // The answer to QUIT changes nothing.
            Ok(_) => drop(connection.quit()),
            Err(_) => connection.abort(),
        }
        result
    }
}

fn offer(
    connection: &mut SmtpConnection,
    from: &Address,
    recipients: &[String],
    message: &[u8],
) -> Result<Delivery, Failure> {
    connection.command(Mail::new(Some(from.clone()), Vec::new())).map_err(|error| failure(&error))?;
    let mut delivery = Delivery::default();
    for recipient in recipients {
        let Ok(address) = recipient.parse::<Address>() else {
            delivery.refused.push((recipient.clone(), "no mail address".to_owned()));
            continue;
        };
        match connection.command(Rcpt::new(address, Vec::new())) {
            Ok(_) => delivery.accepted.push(recipient.clone()),
            Err(error) if error.is_permanent() => delivery.refused.push((recipient.clone(), said(&error))),
            Err(error) if error.is_transient() => delivery.later.push((recipient.clone(), said(&error))),
            Err(error) => return Err(failure(&error)),
        }
    }
    if !delivery.accepted.is_empty() {
        connection.command(Data).map_err(|error| failure(&error))?;
        connection.message(message).map_err(|error| failure(&error))?;
    }
    Ok(delivery)
}

#[cfg(test)]
#[path = "email_tests.rs"]
mod tests;
