//! The control configurations.

use entity::control;

use super::sql::Params;
use super::{Read, Store};

impl Store {
    /// Both controls, ID Protection first.
    pub async fn controls(&self) -> Read<Vec<control::Model>> {
        self.rows(Params::new(self.db).statement("SELECT * FROM control ORDER BY source")).await
    }
}
