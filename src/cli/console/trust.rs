//! `oobctl console trust`: accepts the new key of the host behind a console.

use crate::cli::client::Client;
use crate::cli::face::{Face, Failure};
use crate::cli::{Form, print_reply};
use crate::command::Command;

use super::users::find;

pub(super) async fn run(
    name: &str,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let console = find(&client.state().await?, name)?.name.clone();
    let reply = client.command(Command::TrustHost { console }).await?;
    print_reply(reply, form, face).await
}
