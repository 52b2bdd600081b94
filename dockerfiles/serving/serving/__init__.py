"""The serving runtime inside the images: SageMaker's hosting contract on port 8080.

Runs on Python 3.7 (Ubuntu 18.04) and later, so nothing here may need a newer one.
The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""
