"""What differs between releases of Airflow: a package for each line of releases, with the same names.

``release`` is the right one of them; :mod:`.airflow_2` describes the names. At their import they import
nothing of Airflow, which imports the backend while it is imported itself.
"""

from importlib.util import find_spec

if find_spec("airflow.sdk") is None:
    from include.s3_xcom.on_airflow.releases import airflow_2 as release
else:
    from include.s3_xcom.on_airflow.releases import airflow_3 as release

__all__ = ["release"]
