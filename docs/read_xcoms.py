"""Read XComs without Airflow: run this where pandas, pyarrow and boto3 are, with include/ on the PYTHONPATH.

AIRFLOW__S3_XCOM__BUCKET names the bucket; boto3 finds credentials by itself.
"""

from include.s3_xcom import find, read

frame = read(dag="TestDag", task="Get_Data")  # of the newest run
print(frame[["id", "place", "magnitude"]].head(3))

results = find(dag="TestDag", task="retrieve_data")  # newest first
print(f"{len(results)} objects, of {results[0].owner.run_id}")
print(results[0].read()["place"])
print(results.to_frame()[["task_id", "map_index", "type", "shape", "size"]].head(3))
