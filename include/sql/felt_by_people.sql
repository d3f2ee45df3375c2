-- For TestDag's parameter `query`: the earthquakes that people reported, most reports first.
SELECT id, place, magnitude, felt_reports
FROM my_table
WHERE felt_reports IS NOT NULL
ORDER BY felt_reports DESC
