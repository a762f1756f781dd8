# Everything that a change must pass. Writes nothing but build output.
check:
    bash .ci/run

# Formats, and applies what clippy can.
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all
