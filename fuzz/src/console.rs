//! What a device sends and watchers see.

#[path = "../../src/console/queries.rs"]
mod queries;

/// The query filter for a target: what goes in comes out but for queries.
#[derive(Default)]
pub struct Filter(queries::Queries);

impl Filter {
    /// As `Queries::strip`.
    pub fn strip(&mut self, input: &[u8]) -> Vec<u8> {
        self.0.strip(input)
    }

    /// As `Queries::flush`.
    pub fn flush(&mut self) -> Vec<u8> {
        self.0.flush()
    }
}
