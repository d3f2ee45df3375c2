"""All code that imports Airflow, one file for each concern. Imported when first used."""
