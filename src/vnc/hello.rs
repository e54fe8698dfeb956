//! The first words of a viewer: version and security. A user of the board signs in inside TLS (VeNCrypt, X509Plain), as does who
//! knows VNC's password (X509Vnc); that password without TLS is for who is on this board, as at the end of an SSH forward.
//!
//! RFC 6143 §7.1 and §7.2; VeNCrypt 0.2 as the RFB protocol's community version has it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::house::House;
use super::password::{CHALLENGE, answers};
use crate::session::Standing;

const VERSION: &[u8; 12] = b"RFB 003.008\n";
/// Security types.
const INVALID: u8 = 0;
const VNC_AUTH: u8 = 2;
const VENCRYPT: u8 = 19;
/// Of VeNCrypt.
const X509_VNC: u32 = 261;
const X509_PLAIN: u32 = 262;
/// Bytes of a name or a password.
const LONGEST: u32 = 1024;

/// A connection, whatever it runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Who was let in.
#[derive(Debug)]
pub(super) enum Guest {
    /// A user of the board.
    User(Standing),
    /// Somebody who knows the password.
    Password,
}

/// Why nobody was let in. The text is for the viewer where it can be told, and for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Away {
    #[error("the connection broke")]
    Broke(#[from] io::Error),
    #[error("{0}")]
    Refused(String),
}

fn refused(why: &str) -> Away {
    Away::Refused(why.to_owned())
}

/// What a viewer of RFB 3.8 is told with a refusal; older ones are told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Three,
    Seven,
    Eight,
}

/// Shakes hands until somebody is let in, and has told them so.
///
/// # Errors
/// [`Away`]; the connection is to be closed then.
pub(super) async fn shake(
    house: &House,
    mut stream: TcpStream,
    peer: SocketAddr,
) -> Result<(Box<dyn Stream>, Guest), Away> {
    stream.write_all(VERSION).await?;
    let mut said = [0; 12];
    stream.read_exact(&mut said).await?;
    let version = match &said {
        b"RFB 003.003\n" => Version::Three,
        b"RFB 003.007\n" => Version::Seven,
        _ if said.starts_with(b"RFB 00") => Version::Eight,
        _ => return Err(refused("it speaks no RFB")),
    };
    let here = peer.ip().is_loopback() && house.door.password.is_some();
    let chosen = match version {
        // Told, not asked.
        Version::Three if here => {
            stream.write_u32(VNC_AUTH.into()).await?;
            VNC_AUTH
        }
        Version::Three => {
            let why = "this board lets viewers in by TLS only (VeNCrypt)";
            stream.write_u32(INVALID.into()).await?;
            tell(&mut stream, why).await?;
            return Err(refused(why));
        }
        Version::Seven | Version::Eight => {
            let types: &[u8] = if here {
                &[VNC_AUTH, VENCRYPT]
            } else {
                &[VENCRYPT]
            };
            let count = u8::try_from(types.len()).unwrap_or_default();
            stream.write_all(&[&[count], types].concat()).await?;
            let chosen = stream.read_u8().await?;
            if !types.contains(&chosen) {
                return Err(refused("it chose a security that was not offered"));
            }
            chosen
        }
    };
    if chosen == VNC_AUTH {
        let guest = by_password(house, &mut stream, peer).await;
        return settle(stream, guest, version).await;
    }
    let kind = vencrypt(house, &mut stream).await?;
    let mut stream = house.acceptor()?.accept(stream).await?;
    let guest = match kind {
        X509_PLAIN => by_name(house, &mut stream, peer).await,
        _ => by_password(house, &mut stream, peer).await,
    };
    settle(stream, guest, version).await
}

/// Which of VeNCrypt's ways the viewer takes; TLS comes next.
async fn vencrypt(house: &House, stream: &mut TcpStream) -> Result<u32, Away> {
    stream.write_all(&[0, 2]).await?;
    let mut version = [0; 2];
    stream.read_exact(&mut version).await?;
    if version != [0, 2] {
        stream.write_u8(1).await?;
        return Err(refused("it speaks VeNCrypt of another version than 0.2"));
    }
    stream.write_u8(0).await?;
    let mut kinds = vec![X509_PLAIN];
    if house.door.password.is_some() {
        kinds.push(X509_VNC);
    }
    let mut list = vec![u8::try_from(kinds.len()).unwrap_or_default()];
    list.extend(kinds.iter().flat_map(|kind| kind.to_be_bytes()));
    stream.write_all(&list).await?;
    let chosen = stream.read_u32().await?;
    if !kinds.contains(&chosen) {
        stream.write_u8(0).await?;
        return Err(refused("it chose a way of VeNCrypt that was not offered"));
    }
    stream.write_u8(1).await?;
    Ok(chosen)
}

/// A user of the board and the password.
async fn by_name(house: &House, stream: &mut impl Stream, peer: SocketAddr) -> Result<Guest, Away> {
    let lengths = [stream.read_u32().await?, stream.read_u32().await?];
    let mut texts = Vec::new();
    for length in lengths {
        if length > LONGEST {
            return Err(refused("a name or a password is too long"));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        stream.read_exact(&mut bytes).await?;
        texts.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    let [user, password] = texts.as_slice() else {
        return Err(refused("no name and no password"));
    };
    let standing = house.sign_in(user, password, peer).await;
    standing.map(Guest::User).map_err(Away::Refused)
}

/// Somebody who knows the password of VNC.
async fn by_password(
    house: &House,
    stream: &mut impl Stream,
    peer: SocketAddr,
) -> Result<Guest, Away> {
    let challenge: [u8; CHALLENGE] = rand::random();
    stream.write_all(&challenge).await?;
    stream.flush().await?;
    let mut said = [0; CHALLENGE];
    stream.read_exact(&mut said).await?;
    let knows = |password: &str| answers(password, &challenge, &said);
    let checked = house.check(knows, peer).await;
    checked.map(|()| Guest::Password).map_err(Away::Refused)
}

/// Tells what came of it.
async fn settle(
    mut stream: impl Stream + 'static,
    guest: Result<Guest, Away>,
    version: Version,
) -> Result<(Box<dyn Stream>, Guest), Away> {
    match guest {
        Ok(guest) => {
            stream.write_u32(0).await?;
            stream.flush().await?;
            Ok((Box::new(stream), guest))
        }
        Err(Away::Refused(why)) => {
            stream.write_u32(1).await?;
            if version == Version::Eight {
                tell(&mut stream, &why).await?;
            }
            stream.flush().await?;
            let _ = stream.shutdown().await;
            Err(Away::Refused(why))
        }
        Err(broke) => Err(broke),
    }
}

async fn tell(stream: &mut impl Stream, why: &str) -> io::Result<()> {
    let length = u32::try_from(why.len()).unwrap_or_default();
    stream.write_u32(length).await?;
    stream.write_all(why.as_bytes()).await
}
