//! Reading everything anew: no gap meanwhile, and nothing left at its end that the tenant has not.

use entity::Seconds;
use sea_orm::EntityTrait;
use serde_json::Value;

use super::{ADA, empty, fails, follows, form, id, is_as, person, synchronizes, version};
use crate::story;
use crate::support::graph::{Call, Fault, Tenant};
use crate::support::http;

const ME: &str = "{ viewer { user { displayName } } }";
const GROUP: u128 = 0x101;

/// Thirty people in one group.
fn thirty(tenant: &mut Tenant) {
    (0..30).for_each(|number| tenant.hire(id(0x1000 + number), &format!("Employee {number}")));
    tenant.hire(id(ADA), "Ada");
    let everybody: Vec<_> = tenant.users.keys().copied().collect();
    form(tenant, id(GROUP), &everybody);
}

/// Takes so many of them out of the tenant.
fn dismiss(tenant: &mut Tenant, count: u128) {
    for number in 0..count {
        tenant.users.remove(&id(0x1000 + number));
        tenant.groups.get_mut(&id(GROUP)).expect("the group").members.remove(&id(0x1000 + number));
    }
}

story!(where_changes_are_forgotten_everything_is_read_anew_without_a_gap, empty(), |world| {
    let graph = follows(world, thirty).await;
    graph.pages(5);
    synchronizes(world).await;
    graph.change(|tenant| {
        dismiss(tenant, 4);
        tenant.hire(id(0x2000), "Newcomer");
        tenant.users.get_mut(&id(ADA)).expect("Ada").display_name = "Ada L.".to_owned();
    });
    graph.forget_changes();
    graph.plan(Call::Users, [None, None, Some(Fault::Unavailable(1))]);
    graph.always(Call::Groups, Some(Fault::Throttled));
    fails(world).await;
    for number in [ADA, 0x1000, 0x1001, 0x1029 - 0x10] {
        person(world, number).data(ME, Value::Null).await;
    }
    graph.recover();
    world.restart().await;
    synchronizes(world).await;
    is_as(world, &graph).await;
    assert_eq!(person(world, 0x1000).ask(ME, Value::Null).await.code(), "UNAUTHENTICATED");
    let before = version(world).await;
    assert_eq!(synchronizes(world).await, 0);
    assert_eq!(version(world).await, before);
    let db = world.database.connect().await;
    let marks = entity::mark::Entity::find().all(&db).await.expect("marks");
    db.close().await.expect("it closes");
    assert_eq!(marks.len(), 0, "marks are kept no longer than they are of use");
});

story!(a_listing_that_leaves_out_too_much_takes_nobody_away, empty(), |world| {
    let graph = follows(world, thirty).await;
    synchronizes(world).await;
    let whole = graph.tenant();
    graph.change(|tenant| dismiss(tenant, 20));
    graph.forget_changes();
    synchronizes(world).await;
    person(world, 0x1000).data(ME, Value::Null).await;
    let said = world.services().directory_ailments().await.expect("an answer");
    assert!(said.iter().any(|line| line.contains("approve-removals")), "{said:?}");
    let address = world.app().address;
    let read = async |path: &str| {
        let answer = http().get(format!("http://{address}{path}")).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let (status, ready) = read("/readyz").await;
    assert!(status == 200 && ready.contains("directory: the last complete reading left out"), "{status} {ready}");
    let (_, numbers) = read("/metrics").await;
    assert!(numbers.contains("\nriskgate_directory_held_back 40\n"), "twenty people, twenty members: {numbers}");

    // Changes are followed all the same, and whom Graph says to be gone is gone.
    graph.change(|tenant| dismiss(tenant, 21));
    synchronizes(world).await;
    assert_eq!(person(world, 0x1000 + 20).ask(ME, Value::Null).await.code(), "UNAUTHENTICATED");
    person(world, 0x1000).data(ME, Value::Null).await;

    // Once the tenant is whole again, so is the directory, by itself.
    graph.change(|tenant| *tenant = whole);
    world.clock.advance(Seconds::hours(1));
    synchronizes(world).await;
    is_as(world, &graph).await;
    synchronizes(world).await;
    assert_eq!(world.services().directory_ailments().await.expect("an answer"), Vec::<String>::new());
    assert!(!world.services().approve_removals().await.expect("an answer"), "nothing is held back");
});

story!(an_operator_can_agree_to_what_was_held_back, empty(), |world| {
    let graph = follows(world, thirty).await;
    synchronizes(world).await;
    graph.change(|tenant| dismiss(tenant, 20));
    graph.forget_changes();
    synchronizes(world).await;
    person(world, 0x1000).data(ME, Value::Null).await;
    assert!(world.services().approve_removals().await.expect("an answer"));
    synchronizes(world).await;
    is_as(world, &graph).await;
    assert_eq!(person(world, 0x1000).ask(ME, Value::Null).await.code(), "UNAUTHENTICATED");
    graph.change(|tenant| {
        (40..70).for_each(|number| tenant.hire(id(0x1000 + number), &format!("Employee {number}")));
    });
    synchronizes(world).await;
    graph.change(|tenant| tenant.users.retain(|user, _| *user == id(ADA)));
    graph.forget_changes();
    synchronizes(world).await;
    person(world, 0x1000 + 40).data(ME, Value::Null).await;
});
