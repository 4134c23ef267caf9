//! Stub.

use std::time::Duration;

use async_graphql::{Context, Error, ErrorExtensions, Object, Result, SimpleObject, Subscription as Sub};
use entity::Timestamp;
use futures_util::{Stream, StreamExt, stream};

use crate::domain::permission::Actor;

/// The schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// Who asks.
pub struct Session {
    /// Who.
    pub actor: Actor,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Session {
    /// New.
    pub fn new(actor: Actor, expires_at: Timestamp) -> Session {
        Session { actor, expires_at }
    }
}

/// Queries.
pub struct Query;
/// Mutations.
pub struct Mutation;
/// Subscriptions.
pub struct Subscription;

/// A counted thing.
#[derive(SimpleObject)]
pub struct Tick {
    /// The count.
    pub count: i32,
}

#[Object]
impl Query {
    /// Me.
    async fn me(&self, ctx: &Context<'_>) -> Option<String> {
        ctx.data::<Session>().ok().map(|session| session.actor.user_id.to_string())
    }
    /// Panics.
    async fn panic(&self) -> Option<i32> {
        let nothing: &[i32] = &[];
        Some(nothing[std::hint::black_box(0)])
    }
    /// Fails without a code.
    async fn leak(&self) -> Option<Result<i32>> {
        Some(Err(Error::new("secret of the database")))
    }
    /// Fails with a code.
    async fn forbidden(&self) -> Option<Result<i32>> {
        Some(Err(Error::new("You may not.").extend_with(|_, e| e.set("code", "FORBIDDEN"))))
    }
    /// Says it back.
    async fn echo(&self, number: i32) -> Option<i32> {
        Some(number)
    }
}

#[Object]
impl Mutation {
    /// Touches.
    async fn touch(&self) -> Option<bool> {
        Some(true)
    }
}

#[Sub]
impl Subscription {
    /// Counts up to `to`, then waits for ever unless `end`.
    async fn ticks(&self, to: i32, #[graphql(default = true)] end: bool) -> impl Stream<Item = Result<Tick>> {
        let counted = stream::iter(0..to).map(|count| Ok(Tick { count }));
        if end { counted.boxed() } else { counted.chain(stream::pending()).boxed() }
    }
    /// Not found.
    async fn missing(&self) -> Result<stream::Pending<Tick>> {
        Err(Error::new("No such request.").extend_with(|_, e| e.set("code", "NOT_FOUND")))
    }
    /// One item, then an error.
    async fn breaks(&self) -> impl Stream<Item = Result<Tick>> {
        stream::iter([
            Ok(Tick { count: 0 }),
            Err(Error::new("The database is away.").extend_with(|_, e| e.set("code", "UNAVAILABLE"))),
            Ok(Tick { count: 1 }),
        ])
    }
    /// Big items for ever.
    async fn flood(&self) -> impl Stream<Item = String> {
        stream::repeat_with(|| "x".repeat(100_000)).then(|text| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            text
        })
    }
}
/// Stub.
pub fn schema(_: std::sync::Arc<crate::service::Services>) -> Schema {
    Schema::new(Query, Mutation, Subscription)
}
/// Stub.
pub fn sdl() -> String {
    String::new()
}
