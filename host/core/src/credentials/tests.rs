use super::*;

fn projection() -> Projection {
    Projection {
        source_namespace: "platform".into(),
        source_name: "bucket".into(),
        target: "cozy-backups-creds".into(),
        ..Projection::default()
    }
}

fn secret(pairs: &[(&str, &str)]) -> Secret {
    let data = pairs.iter().map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec())));
    Secret { data: Some(data.collect()), ..Secret::default() }
}

fn flat() -> Secret {
    secret(&[
        ("accessKey", "AK"),
        ("secretKey", "SK"),
        ("endpoint", "https://s3.example/"),
        ("bucketName", "b"),
    ])
}

fn data(target: &Secret) -> BTreeMap<String, String> {
    let data = target.data.iter().flatten();
    data.map(|(k, v)| (k.clone(), String::from_utf8(v.0.clone()).unwrap())).collect()
}

fn projected(source: &Secret) -> Secret {
    let credentials = Credentials::read(source, &projection()).unwrap();
    credentials.target(None, "tenant-a", &projection()).unwrap().unwrap()
}

#[test]
fn l11_schemes_are_stripped_as_in_the_table() {
    for (given, kept) in [
        ("http://h:8333", "h:8333"),
        ("h:8333", "h:8333"),
        ("https://e/path/", "e/path/"),
        ("https://e", "e"),
        ("https://e/", "e"),
        ("", ""),
    ] {
        assert_eq!(without_scheme(given), kept, "{given}");
    }
}

#[test]
fn l11_the_target_has_the_keys_of_every_client_and_none_that_are_empty() {
    let target = projected(&flat());
    let found = data(&target);
    for (key, value) in [
        ("AWS_ACCESS_KEY_ID", "AK"),
        ("accessKey", "AK"),
        ("AWS_SECRET_ACCESS_KEY", "SK"),
        ("secretKey", "SK"),
        ("cloud", "[default]\naws_access_key_id=AK\naws_secret_access_key=SK\n"),
        ("blob_credentials.json", r#"{"accounts":{"s3.example":{"api_key":"AK","secret":"SK"}}}"#),
        ("endpoint", "s3.example"),
        ("bucketName", "b"),
    ] {
        assert_eq!(found[key], value);
    }
    assert!(!found.contains_key("region") && !found.contains_key("forcePathStyle"));
    assert_eq!(target.metadata.labels.unwrap()["apps.cozystack.io/managed-by"], "cozystack-backups");
    assert_eq!(target.metadata.annotations.unwrap()[SOURCE_ANNOTATION], "platform/bucket");
}

#[test]
fn l11_flat_keys_win_over_the_bucket_claim_field_by_field() {
    let info = r#"{"spec": {"bucketName": "claimed", "secretS3": {"accessKeyID": "X", "accessSecretKey": "Y",
        "endpoint": "http://claimed:1", "region": "r"}}}"#;
    let found = data(&projected(&secret(&[("accessKey", "AK"), ("BucketInfo", info)])));
    assert_eq!((found["accessKey"].as_str(), found["secretKey"].as_str()), ("AK", "Y"));
    assert_eq!((found["endpoint"].as_str(), found["region"].as_str()), ("claimed:1", "r"));
    assert_eq!(found["bucketName"], "claimed");
}

#[test]
fn l11_a_claim_that_does_not_parse_matters_only_where_it_is_needed() {
    let whole =
        secret(&[("accessKey", "A"), ("secretKey", "S"), ("endpoint", "e"), ("BucketInfo", "{secret")]);
    assert!(Credentials::read(&whole, &projection()).is_ok());
    let error = Credentials::read(&secret(&[("accessKey", "A"), ("BucketInfo", "{secret")]), &projection());
    let error = error.unwrap_err();
    assert!(error.to_string().starts_with("parse BucketInfo: "), "{error}");
    assert!(!error.to_string().contains("{secret") && !error.is_transient());
}

#[test]
fn l11_what_is_missing_is_named() {
    for (pairs, missing) in [
        (vec![("secretKey", "S"), ("endpoint", "e")], "accessKey"),
        (vec![("accessKey", "A"), ("endpoint", "e")], "secretKey"),
        (vec![("accessKey", "A"), ("secretKey", "S")], "endpoint"),
    ] {
        let error = Credentials::read(&secret(&pairs), &projection()).unwrap_err();
        assert_eq!(error.to_string(), format!("source credentials Secret platform/bucket missing {missing}"));
        assert_eq!(error.reason(), "SourceSecretMalformed");
    }
}

#[test]
fn l11_endpoint_and_region_fall_back_to_the_configured_ones() {
    let projection = Projection {
        endpoint: Some("https://fallback:9".into()),
        region: Some("eu".into()),
        force_path_style: Some(true),
        ..projection()
    };
    let credentials =
        Credentials::read(&secret(&[("accessKey", "A"), ("secretKey", "S")]), &projection).unwrap();
    let found = data(&credentials.target(None, "n", &projection).unwrap().unwrap());
    let found = ["endpoint", "region", "forcePathStyle"].map(|key| found[key].as_str());
    assert_eq!(found, ["fallback:9", "eu", "true"]);
}

#[test]
fn l11_what_became_empty_is_removed_and_what_is_not_ours_stays_and_equal_content_is_not_written() {
    let mut there = projected(&flat());
    there.data.as_mut().unwrap().insert("mine".into(), ByteString(b"x".to_vec()));
    let credentials = Credentials::read(&flat(), &projection()).unwrap();
    assert_eq!(credentials.target(Some(&there), "tenant-a", &projection()).unwrap(), None);
    there.data.as_mut().unwrap().insert("region".into(), ByteString(b"old".to_vec()));
    let found = data(&credentials.target(Some(&there), "tenant-a", &projection()).unwrap().unwrap());
    assert!(!found.contains_key("region") && found["mine"] == "x");
}

#[test]
fn f14_a_target_without_the_label_or_of_another_source_is_left_alone_and_one_of_the_go_implementation_taken_over()
 {
    let credentials = Credentials::read(&flat(), &projection()).unwrap();
    let error = credentials.target(Some(&Secret::default()), "tenant-a", &projection()).unwrap_err();
    assert_eq!(error.reason(), "TargetSecretNotOwned");
    assert!(error.to_string().contains("tenant-a/cozy-backups-creds exists without label"), "{error}");
    let mut other = projected(&flat());
    other.metadata.annotations.as_mut().unwrap().insert(SOURCE_ANNOTATION.into(), "else/where".into());
    assert!(credentials.target(Some(&other), "tenant-a", &projection()).is_err());
    other.metadata.annotations = None;
    assert!(credentials.target(Some(&other), "tenant-a", &projection()).unwrap().is_some());
}

#[test]
fn r10_what_holds_the_secret_key_does_not_reach_tenants() {
    let credentials = Credentials::read(&flat(), &projection()).unwrap();
    let artifact = crate::contract::Artifact { uri: "s3://x:SK@b".into(), size_bytes: None, checksum: None };
    let mut outcome = Outcome {
        artifact: Some(artifact),
        metadata: [("a".to_owned(), "key=SK".to_owned()), ("b".to_owned(), "c".to_owned())].into(),
        underlying_resources: Some(json!({"k": "SK"})),
        ..Outcome::default()
    };
    credentials.withhold(&mut outcome);
    assert_eq!(outcome.artifact.unwrap().uri, "s3://x:[credential withheld]@b");
    assert_eq!(outcome.metadata.into_keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(outcome.underlying_resources, None);
    let mut message = "denied for SK".to_owned();
    credentials.redact(&mut message);
    assert!(!message.contains("SK"));
    assert!(!format!("{credentials:?}").contains("SK"));
}
