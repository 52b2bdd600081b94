"""Builder nodes: what Buildx is told of them, which unit goes to which, and what happens when one dies."""
