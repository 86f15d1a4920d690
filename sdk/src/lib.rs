//! For authors of Backstay strategies: traits, export macro, template renderer.
