"""The edge: the only importers of python_on_whales, boto3, httpx and subprocess."""
