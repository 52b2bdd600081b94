"""Runs on the SDK's own virtual environment: cases as JSON lines on stdin → its answers on stdout.

An answer is {"uri": …} or {"error": "ValueError", "text": …}. Two of the SDK's readers are cached, as each
call would parse botocore's endpoints and a configuration again: the same answers, hundreds of times faster.
"""

import functools
import json
import logging
import os
import sys

os.environ["SAGEMAKER_SUPPRESS_V2_WARNING"] = "1"
os.environ.setdefault("AWS_DEFAULT_REGION", "us-west-2")
logging.disable(logging.CRITICAL)

from sagemaker import image_uris, utils  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: E402

utils._botocore_resolver = functools.cache(utils._botocore_resolver)
image_uris.config_for_framework = functools.cache(image_uris.config_for_framework)

for line in sys.stdin:
    try:
        answer = {"uri": image_uris.retrieve(**json.loads(line))}
    except Exception as error:  # whatever the SDK raises is its answer
        answer = {"error": type(error).__name__, "text": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
