//! The built-in risk store.

use entity::{UserId, insider_risk, user_risk};

use super::sql::Params;
use super::{Read, Store};

impl Store {
    /// One person's ID Protection risk.
    pub async fn user_risk(&self, user: UserId) -> Read<Option<user_risk::Model>> {
        let mut params = Params::new(self.db);
        let user = params.add(user);
        self.row(params.statement(format!("SELECT * FROM user_risk WHERE user_id = {user}"))).await
    }

    /// One person's insider risk.
    pub async fn insider_risk(&self, user: UserId) -> Read<Option<insider_risk::Model>> {
        let mut params = Params::new(self.db);
        let user = params.add(user);
        self.row(params.statement(format!("SELECT * FROM insider_risk WHERE user_id = {user}"))).await
    }
}
