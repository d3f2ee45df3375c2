ARG AIRFLOW_VERSION=2.5.3
ARG PYTHON_VERSION=3.10
FROM apache/airflow:${AIRFLOW_VERSION}-python${PYTHON_VERSION}
LABEL s3-xcom=""

COPY requirements/image.txt /tmp/image.txt
# What the image brings itself fits its other packages, and stays.
RUN python -c "import pandas, pyarrow" 2>/dev/null \
 || pip install --no-cache-dir --no-deps --require-hashes --requirement /tmp/image.txt

# Your own packages.
COPY requirements/own.txt /tmp/own.txt
RUN ! grep -q '^[^#]' /tmp/own.txt || pip install --no-cache-dir --requirement /tmp/own.txt
