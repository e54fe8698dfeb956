//! `oobctl certificate`: what the HTTPS door shows; another one, or a request for one.

use std::path::PathBuf;

use clap::Subcommand;

use crate::command::{CertificateShown, Command, Hidden};

use super::client::Client;
use super::config::read_other;
use super::face::{Face, Failure};
use super::table::harmless;
use super::{Form, give};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// Fingerprint, names, and until when it is good
    Show,
    /// Show another one from the next connection on; it is checked first
    Install {
        /// PEM: the server's own certificate first, then those that vouch for it. `-` is standard input
        certificate: PathBuf,
        /// PEM of its key; without it the key stands in the same file, or is that of the last `request`
        key: Option<PathBuf>,
    },
    /// Go back to the certificate that the board made itself
    Remove,
    /// Print a request for a certificate (PKCS #10); its key stays on the board and waits for `install`
    Request {
        /// Host names and addresses it shall be good for
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let command = match verb {
        Verb::Show => Command::ShowCertificate,
        Verb::Install { certificate, key } => {
            let certificate = read_other(&certificate, face).await?;
            let key = match key {
                Some(file) => Some(Hidden(read_other(&file, face).await?)),
                None => None,
            };
            Command::InstallCertificate { certificate, key }
        }
        Verb::Remove => Command::RemoveCertificate,
        Verb::Request { names } => Command::RequestCertificate { names },
    };
    give(&mut client, command, form, face).await
}

pub(super) fn show(shown: &CertificateShown) -> String {
    let origin = match shown.origin.as_str() {
        "own" => "made by the board",
        "installed" => "installed",
        other => other,
    };
    let mut text = format!(
        "{origin}\nfingerprint  {}\nsubject      {}\nissuer       {}\nnames        {}\ngood         {} to {}\nchain        {}\n",
        shown.fingerprint,
        harmless(&shown.subject),
        harmless(&shown.issuer),
        harmless(&shown.names.join(" ")),
        super::time::date(shown.not_before),
        super::time::date(shown.not_after),
        shown.chain,
    );
    for remark in &shown.remarks {
        text += &format!("note: {}\n", harmless(remark));
    }
    text
}
