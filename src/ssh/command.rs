//! `ssh board COMMAND`: the words of `oobctl`, run in this process as the person who signed in.

use std::sync::Arc;

use super::attach::{self, Ended};
use super::house::House;
use super::login::Login;
use super::session;
use super::terminal::{Gone, Terminal};

pub(super) async fn run(
    house: &House,
    login: &Arc<Login>,
    terminal: &mut Terminal,
    line: &[u8],
) -> Result<u32, Gone> {
    if let Some(status) = session::change_first_password(house, login, terminal).await? {
        return Ok(status);
    }
    let line = String::from_utf8_lossy(line);
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["console", "attach", name] => attach::run(house, login, terminal, name)
            .await
            .map(Ended::status),
        _ => {
            let shown = crate::access::printable(&line);
            terminal
                .writer
                .remark(&format!("{shown}: no such command over SSH yet\n"))
                .await?;
            Ok(session::USAGE)
        }
    }
}
