//! One machine as a service of its own, `/machine/NAME/redfish/v1`, for tools that expect one system behind one address. The same
//! resources and rights, less everything that is not of this machine.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::state::State;

use super::uri;

/// Which machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    machine: String,
    /// What stands before `/redfish`.
    prefix: String,
}

impl View {
    /// The view of this path, if it has one, and the path below.
    pub(super) fn of(path: &str) -> (Option<Self>, &str) {
        let after = path.strip_prefix("/machine/");
        let found = after.and_then(|rest| {
            let (segment, below) = rest.split_at(rest.find('/')?);
            let view = Self {
                machine: uri::unescape(segment)?,
                prefix: format!("/machine/{segment}"),
            };
            Some((view, below))
        });
        match found {
            Some((view, below)) => (Some(view), below),
            None => (None, path),
        }
    }

    /// Leaves of the state what is of this machine; says whether there is such a machine.
    pub(super) fn narrow(&self, state: &mut State) -> bool {
        let Self { machine, .. } = self;
        state.machines.retain(|name, _| name == machine);
        let Some(found) = state.machines.get(machine) else {
            return false;
        };
        let port = format!("sol://{machine}");
        state
            .consoles
            .retain(|name, console| name == machine || console.port == port);
        for (name, pdu) in &mut state.pdus {
            pdu.outlets
                .retain(|outlet| found.outlets.contains(&format!("{name}/{}", outlet.key)));
        }
        state.pdus.retain(|_, pdu| !pdu.outlets.is_empty());
        state.upses.clear();
        true
    }

    /// Puts the prefix before each address in the answer.
    pub(super) async fn rewrite(&self, response: Response) -> Response {
        let (mut parts, body) = response.into_parts();
        if let Some(place) = parts.headers.get(header::LOCATION)
            && let Ok(place) = HeaderValue::from_str(&format!(
                "{}{}",
                self.prefix,
                place.to_str().unwrap_or_default()
            ))
        {
            parts.headers.insert(header::LOCATION, place);
        }
        let is_json = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if !is_json {
            return Response::from_parts(parts, body);
        }
        // It is in memory already. A quotation mark inside of a string is escaped, so this is where a string begins.
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let text = text.replace("\"/redfish/v1", &format!("\"{}/redfish/v1", self.prefix));
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_taken_off() {
        let (view, below) = View::of("/machine/db%201/redfish/v1/Systems");
        assert_eq!(below, "/redfish/v1/Systems");
        assert_eq!(view.unwrap().machine, "db 1");
        for path in ["/redfish/v1", "/machine/db1"] {
            assert_eq!(View::of(path), (None, path));
        }
    }
}
