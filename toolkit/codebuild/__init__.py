"""AWS CodeBuild: the plan of a release as batches of builds on machines of their own."""
