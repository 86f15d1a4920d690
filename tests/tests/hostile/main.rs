//! The hostile tenant. Alone in its test binary, since it judges the memory of the only controller of the cluster.

use backstay_tests::hostile;

#[test]
#[allow(clippy::print_stderr)]
fn whatever_a_tenant_writes_spoils_only_its_own_runs() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut report = hostile::Report::default();
        if !hostile::play(&mut report).await {
            return;
        }
        eprintln!("{}", report.table());
        let wrong = report.wrong();
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    });
}
