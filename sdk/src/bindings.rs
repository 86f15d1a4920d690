//! The bindings that `wit-bindgen` generates from the contract. Authors do not use them: [`crate::wire`] converts
//! their types to those of this crate, and the export macros reach them through `$crate`.
//!
//! Both worlds of the contract export `about`, and an export macro for other crates needs its own name for each
//! interface. So each exported interface is generated once, in a world of its own. A component's module carries the
//! descriptions of the two interfaces it exports, and `wit-component` unites them to a world of the contract.

/// `about`, and the only import with a function.
pub mod about {
    wit_bindgen::generate!({
        path: "../wit/v0.1",
        inline: "
            package backstay:sdk-about;
            world about { import backstay:strategy/log@0.1.0; export backstay:strategy/about@0.1.0; }
        ",
        generate_all,
        generate_unused_types: true,
        pub_export_macro: true,
        export_macro_name: "export_about",
        additional_derives: [PartialEq],
    });
}

/// `pod-driver`.
pub mod pod {
    wit_bindgen::generate!({
        path: "../wit/v0.1",
        inline: "
            package backstay:sdk-pod;
            world pod { export backstay:strategy/pod-driver@0.1.0; }
        ",
        with: { "backstay:strategy/types@0.1.0": crate::bindings::about::backstay::strategy::types },
        pub_export_macro: true,
        export_macro_name: "export_pod_driver",
    });
}

/// `resource-driver`.
pub mod resource {
    wit_bindgen::generate!({
        path: "../wit/v0.1",
        inline: "
            package backstay:sdk-steps;
            world steps { export backstay:strategy/resource-driver@0.1.0; }
        ",
        with: { "backstay:strategy/types@0.1.0": crate::bindings::about::backstay::strategy::types },
        pub_export_macro: true,
        export_macro_name: "export_resource_driver",
    });
}
