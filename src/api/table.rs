//! The one list of resources: the router is made from it, and what docs and tests say of routes is held against it.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, delete, get, post};

use crate::redfish;

use super::answer::Fault;
use super::house::House;
use super::{
    bundle, command, config, console, control, events, layers, metrics, openapi, page, screen,
    session, state,
};

/// Longest body of a request.
const BODY: usize = 64 * 1024;

/// Routes as they are added.
#[derive(Debug, Default)]
struct Table {
    router: Router<Arc<House>>,
    /// Method and path, in the order of adding.
    list: Vec<(&'static str, &'static str)>,
}

impl Table {
    fn get<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<House>>,
        T: 'static,
    {
        self.add("get", path, get(handler))
    }

    fn post<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<House>>,
        T: 'static,
    {
        self.add("post", path, post(handler))
    }

    /// One whose body may hold a whole configuration.
    fn post_config<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<House>>,
        T: 'static,
    {
        let limit = DefaultBodyLimit::max(config::BODY);
        self.add("post", path, post(handler).layer(limit))
    }

    fn delete<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<House>>,
        T: 'static,
    {
        self.add("delete", path, delete(handler))
    }

    fn add(
        mut self,
        method: &'static str,
        path: &'static str,
        route: MethodRouter<Arc<House>>,
    ) -> Self {
        self.list.push((method, path));
        self.router = self.router.route(path, route);
        self
    }
}

/// Every resource; each has a file of its own.
fn table() -> Table {
    Table::default()
        .post("/api/session", session::sign_in)
        .get("/api/session", session::show)
        .delete("/api/session", session::sign_out)
        .get("/api/sessions", session::list)
        .delete("/api/sessions/{id}", session::end)
        .post("/api/ticket", session::ticket)
        .post("/api/password", session::change_password)
        .get("/api/state", state::show)
        .get("/api/state/stream", state::stream)
        .get("/api/events", events::get)
        .post_config("/api/command", command::give)
        .post_config("/api/config/check", config::check)
        .get("/api/control", control::open)
        .get("/api/console/{name}", console::open)
        .get("/api/screen/{machine}", screen::open)
        .get("/api/screen/{machine}/snapshot.png", screen::snapshot)
        .get("/api/support-bundle", bundle::get)
        .get("/api/openapi.json", openapi::show)
        .get("/metrics", metrics::show)
}

/// What answers requests.
pub(super) fn router(house: Arc<House>) -> Router {
    table()
        .router
        .merge(redfish::routes())
        .fallback(page::show)
        .method_not_allowed_fallback(|| async {
            Fault::new(StatusCode::METHOD_NOT_ALLOWED, "not by this method")
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn(layers::wrap))
        .with_state(house)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::api::openapi::DOCUMENT;
    use crate::command::Command;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document = document();
        let paths = document["paths"].as_object().unwrap().iter();
        let told: BTreeSet<(&str, &str)> = paths
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| (method.as_str(), path.as_str()))
            })
            .collect();
        let served: BTreeSet<(&str, &str)> = table().list.into_iter().collect();
        assert_eq!(told, served);
    }

    #[test]
    fn the_document_has_every_command_of_people() {
        let document = document();
        let forms = document["components"]["schemas"]["Command"]["oneOf"]
            .as_array()
            .unwrap();
        let plain = forms[0]["enum"].as_array().unwrap().iter();
        let plain = plain.filter_map(Value::as_str);
        let others = forms[1]["properties"].as_object().unwrap().keys();
        let told: BTreeSet<&str> = plain.chain(others.map(String::as_str)).collect();
        // Serde names all that there are.
        let error = serde_json::from_str::<Command>("\"None\"").unwrap_err();
        let error = error.to_string();
        let all = error.split('`').skip(3).step_by(2);
        let internal = ["AddressLink", "UnaddressLink"];
        let served: BTreeSet<&str> = all.filter(|name| !internal.contains(name)).collect();
        assert_eq!(told, served);
    }

    #[test]
    fn what_the_document_refers_to_is_there() {
        let document = document();
        let parts = DOCUMENT.split("\"$ref\": \"#").skip(1);
        let mut count = 0;
        for part in parts {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            count += 1;
        }
        assert!(count > 50);
    }
}
