//! The web page: files of one directory on disk, to anybody, for a page without data says nothing. Reads, never lists, and
//! never leaves the directory.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::fs;

use super::answer::Fault;
use super::house::House;

/// Answers any page path; the page itself knows which one it is.
const INDEX: &str = "index.html";
/// Names in here carry a hash of what is in the file.
const HASHED: &str = "assets/";
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Kept by the browser, asked for again each time.
const ASK: &str = "no-cache";
/// The whole page has 400 KiB; whatever is larger was not built for it.
const LARGEST: u64 = 4 << 20;

/// By the end of the name. What has no line here is never given away.
const TYPES: [(&str, &str); 6] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("webmanifest", "application/manifest+json"),
    ("txt", "text/plain; charset=utf-8"),
];

/// Whatever is no resource of the API.
pub(super) async fn show(State(house): State<Arc<House>>, request: Request) -> Response {
    let nothing = || Fault::new(StatusCode::NOT_FOUND, "there is nothing here").into_response();
    let path = request.uri().path().trim_start_matches('/');
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads || path == "api" || path.starts_with("api/") || path.starts_with("redfish") {
        return nothing();
    }
    let Some(name) = file_of(path) else {
        return nothing();
    };
    let folder = house.ui();
    match read(&folder, name, takes_gzip(request.headers())).await {
        Ok(Some(found)) => answer(name, found, request.headers()),
        Ok(None) if name == INDEX => {
            let text = format!(
                "This board has no web page: there is no {INDEX} in {}. The API is under /api.\n",
                folder.display()
            );
            (StatusCode::NOT_FOUND, text).into_response()
        }
        Ok(None) => nothing(),
        Err(e) => {
            tracing::warn!(name, folder = %folder.display(), "a file of the web page cannot be read: {e}");
            Fault::internal(format!("{name} of the web page cannot be read: {e}")).into_response()
        }
    }
}

/// The file a path asks for, relative to the directory; `None` for what can be none.
fn file_of(path: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = |part: &str| !part.starts_with('.') && part.chars().all(plain);
    let is_file = path.starts_with(HASHED) || (!path.contains('/') && path.contains('.'));
    if !is_file {
        return Some(INDEX);
    }
    let typed = content_type(path).is_some();
    (typed && path.split('/').all(|part| !part.is_empty() && good(part))).then_some(path)
}

fn content_type(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    let found = TYPES.iter().find(|(known, _)| *known == end);
    found.map(|(_, kind)| *kind)
}

/// Bytes, and whether they are packed.
struct Found {
    bytes: Vec<u8>,
    gzip: bool,
}

/// The file, packed where the browser takes that and the build made it so; `None` where there is none.
async fn read(folder: &Path, name: &str, gzip: bool) -> std::io::Result<Option<Found>> {
    if gzip && let Some(bytes) = read_one(&folder.join(format!("{name}.gz"))).await? {
        return Ok(Some(Found { bytes, gzip }));
    }
    let bytes = read_one(&folder.join(name)).await?;
    Ok(bytes.map(|bytes| Found { bytes, gzip: false }))
}

async fn read_one(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let meta = match fs::metadata(path).await {
        Ok(meta) => meta,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    if !meta.is_file() {
        return Ok(None);
    }
    if meta.len() > LARGEST {
        return Err(std::io::Error::other("it is too large"));
    }
    fs::read(path).await.map(Some)
}

fn answer(name: &str, found: Found, asked: &HeaderMap) -> Response {
    let digest = ring::digest::digest(&ring::digest::SHA256, &found.bytes);
    let half = digest.as_ref().iter().take(16);
    let hex: String = half.map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{hex}\"");
    let known = asked.get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok());
    let fresh = known
        .flat_map(|text| text.split(','))
        .any(|one| one.trim().trim_start_matches("W/") == tag);
    let keep = if name.starts_with(HASHED) {
        FOREVER
    } else {
        ASK
    };
    let mut response = Response::builder()
        .header(header::ETAG, tag)
        .header(header::CACHE_CONTROL, keep)
        .header(header::VARY, "Accept-Encoding");
    if fresh {
        response = response.status(StatusCode::NOT_MODIFIED);
    } else {
        response = response.header(
            header::CONTENT_TYPE,
            content_type(name).unwrap_or("application/octet-stream"),
        );
        if found.gzip {
            response = response.header(header::CONTENT_ENCODING, "gzip");
        }
    }
    let body = if fresh { Vec::new() } else { found.bytes };
    let response = response.body(Body::from(body));
    response.unwrap_or_else(|e| Fault::internal(e.to_string()).into_response())
}

/// Does the browser unpack gzip (RFC 9110 §12.5.3)?
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts = lines.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|one| {
        let (name, rest) = one.split_once(';').unwrap_or((one, ""));
        let never = rest.trim().trim_start_matches("q=").parse() == Ok(0.0_f32);
        name.trim().eq_ignore_ascii_case("gzip") && !never
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_page_a_plain_file_or_nothing() {
        for page in [
            "",
            "targets",
            "console/core-switch",
            "console/a.js",
            "power/x/..",
        ] {
            assert_eq!(file_of(page), Some(INDEX), "{page}");
        }
        for file in ["icon.svg", "assets/index-Bx12_f.js", "index.html"] {
            assert_eq!(file_of(file), Some(file));
        }
        for none in [
            "assets/../../etc/passwd.txt",
            "assets/..%2f..%2fsecret.txt",
            "assets//a.js",
            "assets/",
            "assets/.hidden.js",
            "assets/a\\b.js",
            "..",
            ".env",
            "wp-login.php",
            "https.pem",
            "index.html.gz",
        ] {
            assert_eq!(file_of(none), None, "{none}");
        }
    }

    #[test]
    fn gzip_is_given_to_who_takes_it() {
        for (line, takes) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("br", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, line.parse().unwrap());
            assert_eq!(takes_gzip(&headers), takes, "{line}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
