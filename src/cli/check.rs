//! `crmwatch check`: is the configuration right, and everything it names there. Not for the state directory (`check_deep`).

use clap::Args;

use super::{ConfigFile, Exit};
use crate::api;
use crate::config::{Arrival, Config, Source, Syslog};
use crate::enrich::{Enricher, Settings};
use crate::parse::web::Tables;
use crate::source::syslog::tls::{TlsError, server_config};

/// Validate configuration and rules.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Look at the whole state directory, too: checksums of the index, the ledger, and how they fit together and to the logs.
    ///
    /// Reads every byte of the index, which takes as long as the disk does; a bar shows how far it is. Changes nothing. Best with the daemon
    /// stopped: beside a running one, what is being written is left out. Ends with 1 if something is damaged; under each fault stands what
    /// to do.
    #[arg(long)]
    deep: bool,
    /// With --deep: one JSON object a line (level, about, text, mend).
    #[arg(long, requires = "deep")]
    json: bool,
}

impl Check {
    #[allow(clippy::print_stdout, reason = "the answer is the output")]
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = match Config::load(&self.config.config) {
            Ok(config) => config,
            Err(error) => {
                eprintln!("{error}");
                return Ok(Exit::Configuration);
            }
        };
        let mut wrong = Vec::new();
        let mut remarks = Vec::new();
        match config.engine() {
            Ok(engine) if !self.json => println!("rules: {}", engine.rules().len()),
            Ok(_) => {}
            Err(error) => wrong.push(error.to_string()),
        }
        if let Err(error) = Enricher::new(&Settings::of(&config)) {
            wrong.push(error.to_string());
        }
        for source in &config.sources {
            if let Some(Err(error)) = source.urls.as_ref().map(|urls| Tables::load(urls)) {
                wrong.push(format!("source {}: {error}", source.name));
            }
            if let Some(Err(error)) = tls(source) {
                wrong.push(format!("source {}: {error}", source.name));
            }
            remarks.extend(look(source));
            for name in source.secrets() {
                if let Err(error) = api::secret(name) {
                    // Credentials are there when systemd starts the daemon, and not before.
                    let list = if name.contains('/') { &mut wrong } else { &mut remarks };
                    list.push(format!("source {}: {error}", source.name));
                }
            }
        }
        if let Some((certificate, key)) = config.push.as_ref().and_then(|push| push.tls.as_ref())
            && let Err(error) = server_config(certificate, key, None)
        {
            wrong.push(format!("[push] {error}"));
        }
        if config.email.is_none() {
            remarks.push(
                "no [email] section: incidents are recorded and shown as metrics, but nobody gets a mail".to_owned(),
            );
        }
        for over in config.allowances.iter().filter(|one| one.until < crate::pipeline::now()) {
            let until = crmwatch_detectors::json::timestamp(over.until);
            remarks.push(format!("[[{}]] {:?} is over since {until}: remove it", over.knowledge.word(), over.reason));
        }
        for remark in remarks.iter().filter(|_| !self.json) {
            println!("note: {remark}");
        }
        for error in &wrong {
            eprintln!("{}: {error}", self.config.config.display());
        }
        if !wrong.is_empty() {
            return Ok(Exit::Configuration);
        }
        if !self.json {
            println!("{}: right, {} source(s)", self.config.config.display(), config.sources.len());
        }
        if self.deep { super::check_deep::run(&config, self.json) } else { Ok(Exit::Fine) }
    }
}

/// Whether certificate, key and authority of a TLS listener can be read and fit together.
fn tls(source: &Source) -> Option<Result<(), TlsError>> {
    let Arrival::Syslog(Syslog { certificate: Some(certificate), key: Some(key), client_ca, .. }) = &source.arrival
    else {
        return None;
    };
    Some(server_config(certificate, key, client_ca.as_deref()).map(drop))
}

/// What an operator may want to know about a source's files: none there yet, or ones this user cannot read.
fn look(source: &Source) -> Vec<String> {
    let mut remarks = Vec::new();
    if source.spooled() {
        return remarks;
    }
    let mut files = 0;
    for pattern in &source.paths {
        for path in glob::glob(pattern).into_iter().flatten().flatten().filter(|path| path.is_file()) {
            files += 1;
            if let Err(error) = std::fs::File::open(&path) {
                remarks.push(format!(
                    "source {}: {} cannot be read by this user: {error}",
                    source.name,
                    path.display()
                ));
            }
        }
    }
    if files == 0 {
        remarks.push(format!("source {}: no file is there yet; the daemon waits for one", source.name));
    }
    remarks
}
