use super::*;

fn all() -> Vec<Policy> {
    policies(&Controller {
        namespace: "backups".to_owned(),
        service_account: "keeper".to_owned(),
        strategy_groups: vec![crate::STRATEGY_GROUP.to_owned()],
    })
}

#[test]
fn every_policy_is_bound_denies_and_fails_closed() {
    for policy in all() {
        let [rules, binding] = &policy.objects;
        assert_eq!(rules["metadata"]["name"], policy.name);
        assert_eq!(rules["spec"]["failurePolicy"], "Fail", "{}", policy.name);
        assert_eq!(binding["spec"], json!({"policyName": policy.name, "validationActions": ["Deny"]}));
        let validations = rules["spec"]["validations"].as_array().unwrap();
        assert!(!validations.is_empty() && validations.iter().all(|v| v["messageExpression"].is_string()));
    }
}

#[test]
fn no_policy_judges_a_deletion() {
    for policy in all() {
        let rules = policy.objects[0]["spec"]["matchConstraints"]["resourceRules"].to_string();
        assert!(!rules.contains("DELETE"), "{rules}");
    }
}

#[test]
fn the_controller_is_the_one_that_was_named() {
    let text: String = all().iter().map(|p| p.objects[0].to_string()).collect();
    assert!(text.contains("system:serviceaccount:backups:keeper"));
    assert!(!text.contains("backstay-system"));
}
