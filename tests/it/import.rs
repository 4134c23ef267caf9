//! Loading the directory: the whole picture or a part of it, in one commit or not at all.

use entity::{group, user};
use riskgate::demo::FINANCE_OWNERS;
use riskgate::service::{FileGroup, ImportError, ImportOptions, Imported, Picture};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::story;
use crate::support::process::{refusal, run};
use crate::support::{Options, World};

const COMPANY: &str = include_str!("../../demo/directory.json");

fn company() -> Picture {
    serde_json::from_str(COMPANY).expect("the company")
}

async fn import(world: &World, picture: &Picture, options: ImportOptions) -> Result<Imported, ImportError> {
    world.services().import(picture, options).await
}

async fn events(world: &World) -> usize {
    world.snapshot().await.events.len()
}

fn empty() -> Options {
    Options { demo: false, ..Options::default() }
}

story!(a_picture_is_one_commit_and_twice_is_none, empty(), |world| {
    let done = import(world, &company(), ImportOptions::default()).await.expect("it is committed");
    assert_eq!((done.users_changed, done.groups_changed, done.is_changed), (18, 1, true));
    assert_eq!(events(world).await, 1);
    let again = import(world, &company(), ImportOptions::default()).await.expect("nothing to do");
    assert_eq!(again, Imported::default());
    assert_eq!(events(world).await, 1);
});

story!(what_the_picture_lacks_is_marked_deleted_and_comes_back, |world| {
    let mut picture = company();
    picture.users.retain(|user| user.user_principal_name != "zoe@example.com");
    let done = import(world, &picture, ImportOptions::default()).await.expect("it is committed");
    assert_eq!((done.users_changed, done.users_deleted), (0, 1));
    let me = "{ viewer { user { displayName } } }";
    assert_eq!(world.person("zoe").ask(me, Value::Null).await.code(), "UNAUTHENTICATED");
    assert_eq!(import(world, &company(), ImportOptions::default()).await.expect("it is committed").users_changed, 1);
    world.person("zoe").data(me, Value::Null).await;

    // Not erased: what refers to a person or a group can still name them.
    let mut picture = company();
    picture.users.retain(|user| user.user_principal_name != "zoe@example.com");
    picture.groups.clear();
    let done = import(world, &picture, ImportOptions::default()).await.expect("it is committed");
    assert_eq!((done.users_changed, done.users_deleted, done.groups_changed, done.groups_deleted), (0, 1, 0, 1));
    let db = world.database.connect().await;
    let zoe = user::Entity::find_by_id(world.person("zoe").id).one(&db).await.expect("an answer").expect("her row");
    let owners = group::Entity::find_by_id(FINANCE_OWNERS).one(&db).await.expect("an answer").expect("their row");
    db.close().await.expect("it closes");
    assert_eq!((zoe.display_name.as_str(), zoe.deleted_at), ("Zoe Kim", Some(world.now())));
    assert_eq!((owners.display_name.as_str(), owners.deleted_at), ("finance-owners", Some(world.now())));
    let done = import(world, &company(), ImportOptions::default()).await.expect("it is committed");
    assert_eq!((done.users_changed, done.groups_changed), (1, 1));

    // A part of the picture deletes nothing, and a group's members replace those it had.
    let mut part = Picture::default();
    part.groups.push(FileGroup { member_ids: vec![company().users[16].id.clone()], ..company().groups[0].clone() });
    let partial = ImportOptions { partial: true, ..ImportOptions::default() };
    let done = import(world, &part, partial).await.expect("it is committed");
    assert_eq!((done.users_changed, done.users_deleted, done.groups_changed, done.groups_deleted), (0, 0, 1, 0));
    let request = world.person("bob").asks_for(riskgate::demo::PRODUCTION_ACCESS).await;
    assert_eq!(
        world.person("pat").is_refused(&request["stages"][0]["id"]).await,
        "NOT_FOUND",
        "he is an owner no more"
    );
    assert_eq!(world.person("zoe").approves(&request["stages"][0]["id"]).await["state"], "DELIVERED");
});

story!(members_of_groups_in_groups_are_members, |world| {
    let mut picture = company();
    let inner = "00000000-0000-4000-8000-000000000102";
    let zoe = picture.users[16].id.clone();
    picture.groups.push(FileGroup { id: inner.to_owned(), display_name: "inner".to_owned(), member_ids: vec![zoe] });
    picture.groups[0].member_ids = vec![inner.to_owned()];
    import(world, &picture, ImportOptions::default()).await.expect("it is committed");
    let request = world.person("bob").asks_for(riskgate::demo::PRODUCTION_ACCESS).await;
    assert_eq!(world.person("zoe").approves(&request["stages"][0]["id"]).await["state"], "DELIVERED");
});

story!(a_picture_that_cannot_be_right_is_refused_whole, |world| {
    let nobody = "99999999-0000-4000-8000-000000000000".to_owned();
    let (before, id) = (events(world).await, |picture: &Picture, index: usize| picture.users[index].id.clone());
    let mut cases: Vec<(Picture, String)> = Vec::new();
    let mut picture = company();
    picture.users[11].manager_id = Some(nobody.clone());
    cases.push((picture.clone(), format!("user {}", id(&picture, 11))));
    let mut picture = company();
    picture.users[9].manager_id = Some(id(&picture, 8));
    cases.push((picture.clone(), format!("user {}: managerId leads in a ring", id(&picture, 8))));
    let mut picture = company();
    picture.users[13].manager_id = Some(id(&picture, 13));
    cases.push((picture.clone(), format!("user {}: managerId leads in a ring", id(&picture, 13))));
    let mut picture = company();
    picture.groups[0].member_ids.push(nobody);
    cases.push((picture.clone(), format!("group {}", picture.groups[0].id)));
    let mut picture = company();
    let (a, b) = ("00000000-0000-4000-8000-0000000000a1".to_owned(), "00000000-0000-4000-8000-0000000000a2".to_owned());
    picture.groups.push(FileGroup { id: a.clone(), display_name: "a".to_owned(), member_ids: vec![b.clone()] });
    picture.groups.push(FileGroup { id: b, display_name: "b".to_owned(), member_ids: vec![a.clone()] });
    cases.push((picture, format!("group {a}: memberIds leads in a ring")));
    let mut picture = company();
    let twice = picture.users[0].clone();
    picture.users.push(twice);
    cases.push((picture, "users[18]".to_owned()));
    let mut picture = company();
    picture.users[3].id = picture.users[3].id.to_uppercase().replace("000000000004", "00000000000A");
    cases.push((picture, "users[3]".to_owned()));
    let mut picture = company();
    picture.users[5].display_name = " ".to_owned();
    cases.push((picture, "displayName".to_owned()));
    let mut picture = company();
    picture.users.iter_mut().take(8).for_each(|user| user.is_enabled = false);
    cases.push((picture, "--allow-mass-deletion".to_owned()));
    for (picture, named) in cases {
        match import(world, &picture, ImportOptions::default()).await {
            Err(ImportError::Refused(why)) => assert!(why.contains(&named), "{why} does not name {named}"),
            other => panic!("{named}: {other:?}"),
        }
    }
    assert_eq!(events(world).await, before, "nothing is written");
});

story!(a_mass_deletion_needs_to_be_meant, |world| {
    let mut picture = company();
    picture.users.retain(|user| ["ada@example.com", "sam@example.com"].contains(&user.user_principal_name.as_str()));
    picture.users.iter_mut().for_each(|user| user.manager_id = None);
    picture.groups.clear();
    let before = events(world).await;
    match import(world, &picture, ImportOptions::default()).await {
        Err(ImportError::Refused(why)) => assert!(why.contains("15 of 17 enabled people"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(events(world).await, before);
    // A third is not more than a third: five of seventeen.
    let mut fewer = company();
    fewer.users.iter_mut().filter(|user| user.is_enabled).take(5).for_each(|user| user.is_enabled = false);
    let done = import(world, &fewer, ImportOptions::default()).await.expect("it is committed");
    assert_eq!(done.users_changed, 5);
    let meant = ImportOptions { allow_mass_deletion: true, ..ImportOptions::default() };
    assert_eq!(import(world, &picture, meant).await.expect("it is committed").users_deleted, 16);
    world.person("ada").data("{ viewer { user { id } } }", Value::Null).await;
});

story!(the_command_changes_a_directory_that_is_being_served, |world| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("people.json");
    let write = |value: &Value| std::fs::write(&file, value.to_string()).expect("a file");
    let (path, url) = (file.display().to_string(), world.database.url.clone());
    let mut picture: Value = serde_json::from_str(COMPANY).expect("JSON");
    let request = world.person("alice").asks_for(riskgate::demo::WIKI).await;
    let stage = world.person("sam").request(&request["id"]).await["currentStage"]["id"].clone();
    picture["users"][2]["directoryRoles"] = json!(["SECURITY_READER"]);
    write(&picture);
    let done = run(&["directory", "import", &path, "--database-url", &url]);
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "people: 1 new or changed, 0 deleted; groups: 0 new or changed, 0 deleted\n",
        "a role is what matters most"
    );
    assert_eq!(world.person("sam").is_refused(&stage).await, "NOT_AN_APPROVER", "he has the other role now");
    picture["users"][2]["nickname"] = json!("Sammy");
    write(&picture);
    let said = refusal(&["directory", "import", &path, "--database-url", &url]);
    assert!(said.contains("people.json") && said.contains("nickname"), "{said}");
});

/// The JSON Schema says what the program takes: the same members, required where they are, the same roles.
#[test]
fn the_json_schema_is_what_the_program_reads() {
    let schema: Value = serde_json::from_str(include_str!("../../docs/directory.schema.json")).expect("JSON");
    let roles: Vec<_> = entity::DirectoryRole::ALL.iter().map(|role| role.as_str()).collect();
    assert_eq!(schema["properties"]["users"]["items"]["properties"]["directoryRoles"]["items"]["enum"], json!(roles));
    let sample = |member: &str| match member {
        "isEnabled" => json!(true),
        "directoryRoles" => json!(["GLOBAL_READER"]),
        "memberIds" => json!([]),
        "id" | "managerId" => json!("00000000-0000-4000-8000-000000000001"),
        _ => json!("text"),
    };
    for noun in ["users", "groups"] {
        let of = &schema["properties"][noun]["items"];
        assert_eq!(of["additionalProperties"], false);
        let members: Vec<_> = of["properties"].as_object().expect("members").keys().cloned().collect();
        let full: Value =
            members.iter().map(|member| (member.clone(), sample(member))).collect::<serde_json::Map<_, _>>().into();
        let parses = |item: &Value| serde_json::from_value::<Picture>(json!({ noun: [item] })).is_ok();
        assert!(parses(&full), "{full:#}");
        for member in &members {
            let mut less = full.clone();
            less.as_object_mut().expect("an object").remove(member);
            let is_required = of["required"].as_array().expect("a list").contains(&json!(member));
            assert_eq!(parses(&less), !is_required, "{noun}.{member}");
        }
        let mut more = full;
        more["nickname"] = json!("text");
        assert!(!parses(&more));
    }
}
