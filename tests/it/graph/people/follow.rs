//! First load, changes, and what harms nothing.

use entity::{DirectoryRole, Seconds};
use serde_json::{Value, json};

use super::{ADA, BEN, CLEO, DAN, empty, fails, follows, form, give, id, is_as, person, synchronizes, version};
use crate::story;
use crate::support::graph::{Call, Fault, Tenant};

const ME: &str = "{ viewer { user { displayName manager { id } } } }";
/// Groups.
const INNER: u128 = 0x101;
const OUTER: u128 = 0x102;

fn company(tenant: &mut Tenant) {
    for (number, name) in [(ADA, "Ada"), (BEN, "Ben"), (CLEO, "Cleo"), (DAN, "Dan")] {
        tenant.hire(id(number), name);
    }
    for (number, manager) in [(BEN, ADA), (CLEO, BEN), (DAN, CLEO)] {
        tenant.users.get_mut(&id(number)).expect("somebody").manager = Some(id(manager));
    }
    form(tenant, id(INNER), &[id(BEN), id(CLEO)]);
    form(tenant, id(OUTER), &[id(INNER), id(DAN)]);
    give(tenant, DirectoryRole::GlobalAdministrator, id(ADA));
    give(tenant, DirectoryRole::SecurityReader, id(OUTER));
}

story!(a_first_load_goes_on_where_it_was_cut_off, empty(), |world| {
    let graph = follows(world, |tenant| {
        company(tenant);
        (0..40).for_each(|number| tenant.hire(id(0x1000 + number), &format!("Employee {number}")));
    })
    .await;
    graph.pages(4);
    graph.plan(Call::Users, [None, None, None, Some(Fault::Broken)]);
    graph.always(Call::Groups, Some(Fault::Unavailable(2)));
    fails(world).await;
    let (first, _) = version(world).await;
    assert_eq!((first, graph.count(Call::Users)), (4, 4), "each page is one commit, and so are the roles");
    graph.recover();
    world.restart().await;
    synchronizes(world).await;
    assert_eq!(graph.count(Call::Users), 4 + 8, "eleven pages, three of which were known");
    is_as(world, &graph).await;
    let me = person(world, BEN).data(ME, Value::Null).await;
    assert_eq!(me["viewer"]["user"]["displayName"], "Ben");
    assert_eq!(me["viewer"]["user"]["manager"]["id"], person(world, ADA).user_id());
});

story!(changes_are_followed_and_who_vanishes_is_shut_out_at_once, empty(), |world| {
    let graph = follows(world, company).await;
    synchronizes(world).await;
    is_as(world, &graph).await;
    person(world, DAN).data(ME, Value::Null).await;
    let before = version(world).await;
    assert_eq!(synchronizes(world).await, 0, "nothing has changed");
    assert_eq!(version(world).await, before);

    graph.change(|tenant| {
        tenant.users.remove(&id(DAN));
        tenant.users.get_mut(&id(CLEO)).expect("Cleo").is_enabled = false;
        tenant.users.get_mut(&id(BEN)).expect("Ben").manager = None;
        tenant.hire(id(0xe1), "Eve");
        form(tenant, id(INNER), &[id(0xe1)]);
    });
    assert_eq!(synchronizes(world).await, 2, "a page of people, and one of groups");
    is_as(world, &graph).await;
    for gone in [DAN, CLEO] {
        assert_eq!(person(world, gone).ask(ME, Value::Null).await.code(), "UNAUTHENTICATED");
    }
    person(world, 0xe1).data(ME, Value::Null).await;
    let events = world.snapshot().await.events;
    let told = events.iter().rfind(|event| event.kind == "DIRECTORY_SYNCHRONIZED").expect("an event");
    let content: Value = serde_json::from_str(&told.content).expect("JSON");
    assert_eq!(content["details"]["DirectoryVersion"], json!(version(world).await.0));

    graph.change(|tenant| {
        tenant.groups.remove(&id(INNER));
        tenant.hire(id(DAN), "Dan");
    });
    synchronizes(world).await;
    is_as(world, &graph).await;
});

story!(a_role_comes_through_a_group_and_a_narrower_scope_gives_none, empty(), |world| {
    let graph = follows(world, company).await;
    graph.change(|tenant| {
        give(tenant, DirectoryRole::SecurityAdministrator, id(BEN));
        tenant.assignments.last_mut().expect("his role").scope = format!("/administrativeUnits/{}", id(0x900));
    });
    synchronizes(world).await;
    is_as(world, &graph).await;
    let roles = "{ viewer { directoryRoles } }";
    let held = async |number| person(world, number).data(roles, Value::Null).await["viewer"]["directoryRoles"].clone();
    assert_eq!(held(BEN).await, json!(["SECURITY_READER"]), "through two groups; the other role is for one unit only");
    assert_eq!(held(ADA).await, json!(["GLOBAL_ADMINISTRATOR"]));
    graph.change(|tenant| form(tenant, id(INNER), &[id(CLEO)]));
    synchronizes(world).await;
    assert_eq!(held(BEN).await, json!([]), "he is in the group no more");
    assert_eq!(held(CLEO).await, json!(["SECURITY_READER"]));
    graph.change(|tenant| tenant.assignments.clear());
    synchronizes(world).await;
    assert_eq!(held(CLEO).await, json!([]));
    is_as(world, &graph).await;
});

story!(pages_that_repeat_are_empty_or_come_too_early_harm_nothing, empty(), |world| {
    let graph = follows(world, company).await;
    graph.pages(2);
    graph.always(Call::Users, Some(Fault::Broken));
    graph.plan(
        Call::Groups,
        [Some(Fault::Empty), Some(Fault::Repeated), None, Some(Fault::Empty), Some(Fault::Repeated)],
    );
    fails(world).await;
    assert!(version(world).await.0 > 0, "groups and roles are known before anybody who is in them");
    graph.recover();
    graph.plan(Call::Users, [Some(Fault::Empty), None, Some(Fault::Repeated), Some(Fault::Empty)]);
    synchronizes(world).await;
    is_as(world, &graph).await;
    let before = version(world).await;
    graph.plan(Call::Users, [Some(Fault::Empty)]);
    graph.plan(Call::Groups, [Some(Fault::Empty), Some(Fault::Repeated)]);
    assert_eq!(synchronizes(world).await, 0);
    assert_eq!(version(world).await, before);
});

story!(rings_of_groups_and_of_managers_do_no_harm, empty(), |world| {
    let graph = follows(world, company).await;
    graph.change(|tenant| {
        form(tenant, id(INNER), &[id(OUTER), id(BEN)]);
        form(tenant, id(OUTER), &[id(INNER), id(OUTER), id(CLEO)]);
        tenant.users.get_mut(&id(ADA)).expect("Ada").manager = Some(id(CLEO));
    });
    synchronizes(world).await;
    is_as(world, &graph).await;
    graph.change(|tenant| form(tenant, id(INNER), &[]));
    synchronizes(world).await;
    is_as(world, &graph).await;
});

story!(what_one_stream_fails_at_keeps_no_other_from_being_read, empty(), |world| {
    let graph = follows(world, company).await;
    synchronizes(world).await;
    graph.change(|tenant| {
        tenant.hire(id(0xe1), "Eve");
        give(tenant, DirectoryRole::SecurityAdministrator, id(0xe1));
    });
    for fault in
        [Fault::Throttled, Fault::Unavailable(3), Fault::Cut, Fault::Html(200), Fault::Html(404), Fault::Elsewhere]
    {
        graph.always(Call::Groups, Some(fault));
        let failed = fails(world).await;
        assert!(failed.to_string().contains("GROUPS"), "{fault:?}: {failed}");
    }
    graph.recover();
    is_as(world, &graph).await;
    world.clock.advance(Seconds::minutes(1));
    synchronizes(world).await;
    is_as(world, &graph).await;
});
