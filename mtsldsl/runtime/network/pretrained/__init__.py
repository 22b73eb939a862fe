"""Networks of other libraries: by what names their files hold which weights, and how these fill a network of a spec."""
