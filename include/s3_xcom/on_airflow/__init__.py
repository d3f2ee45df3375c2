"""Everything that imports Airflow, a file for each concern. Imported when first used."""
