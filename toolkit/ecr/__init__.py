"""What Amazon ECR is to be like for a catalog: settings, policies, their differences, scans. Pure values."""
