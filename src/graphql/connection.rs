//! Connections: pages in the form that Relay asks for.

use async_graphql::{Context, SimpleObject};

use crate::service::{Listing, PageInput};

/// Where a page stands in its list.
#[derive(Debug, Clone, SimpleObject)]
pub struct PageInfo {
    /// Does something stand after the page?
    pub has_next_page: bool,
    /// Does something stand before the page?
    pub has_previous_page: bool,
    /// The cursor of its first row.
    pub start_cursor: Option<String>,
    /// The cursor of its last row.
    pub end_cursor: Option<String>,
}

/// The arguments of a connection, and whether its count is asked for.
pub fn page_input(
    ctx: &Context<'_>,
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> PageInput {
    PageInput { first, after, last, before, want_total: ctx.look_ahead().field("totalCount").exists() }
}

impl PageInfo {
    /// Of a page.
    pub fn of<T>(listing: &Listing<T>) -> PageInfo {
        PageInfo {
            has_next_page: listing.has_next,
            has_previous_page: listing.has_previous,
            start_cursor: listing.items.first().map(|(cursor, _)| cursor.clone()),
            end_cursor: listing.items.last().map(|(cursor, _)| cursor.clone()),
        }
    }
}

/// A connection and its edge, with the names that the schema gives them.
macro_rules! connection {
    ($(#[$meta:meta])* $connection:ident, $edge:ident, $node:ty $(, $(#[$extra_meta:meta])* $extra:ident)?) => {
        $(#[$meta])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $connection {
            /// The rows with their cursors.
            pub edges: Vec<$edge>,
            /// The rows.
            pub nodes: Vec<$node>,
            /// Where the page stands.
            pub page_info: $crate::graphql::connection::PageInfo,
            /// How many rows the whole list has for this viewer.
            pub total_count: i32,
            $($(#[$extra_meta])* pub $extra: String,)?
        }

        /// A row with its cursor.
        #[derive(async_graphql::SimpleObject)]
        pub struct $edge {
            /// Where the row stands.
            pub cursor: String,
            /// The row.
            pub node: $node,
        }

        impl $connection {
            /// A page of rows, each shown as a node.
            pub fn of<T>(listing: $crate::service::Listing<T>, node: impl Fn(T) -> $node) -> $connection {
                let page_info = $crate::graphql::connection::PageInfo::of(&listing);
                let rows: Vec<(String, $node)> =
                    listing.items.into_iter().map(|(cursor, row)| (cursor, node(row))).collect();
                $connection {
                    nodes: rows.iter().map(|(_, node)| node.clone()).collect(),
                    edges: rows.into_iter().map(|(cursor, node)| $edge { cursor, node }).collect(),
                    page_info,
                    total_count: $crate::graphql::scalar::small(listing.total),
                    $($extra: listing.event_cursor,)?
                }
            }
        }
    };
}
pub(super) use connection;
