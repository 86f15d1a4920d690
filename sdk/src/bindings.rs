//! What `wit-bindgen` makes of the contract. Authors never see it: [`crate::wire`] turns its types into those of this
//! crate, and the export macros reach it through `$crate`.
//!
//! Both worlds of the contract export `about`, and an export macro for use in another crate has a name of its own for
//! each interface. So each exported interface is generated once, in a world of its own; a component's module carries
//! the description of the two it exports, and `wit-component` unites them to what the contract's worlds say.

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
