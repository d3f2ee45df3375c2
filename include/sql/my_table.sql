-- The 40 strongest earthquakes of 30 January to 6 February 2018.
--
-- Source: U.S. Geological Survey, Earthquake Hazards Program, "All Earthquakes, Past Week" feed
-- (https://earthquake.usgs.gov/earthquakes/feed/v1.0/geojson.php), as generated on 2018-02-07 and
-- redistributed in the npm package vega-datasets 2.7.0.
-- Licence: public domain, as works of the U.S. government are
-- (https://www.usgs.gov/information-policies-and-instructions/copyrights-and-credits).
-- Changed: a selection of rows and columns; times from milliseconds to timestamps.

CREATE TABLE my_table (
    id             text PRIMARY KEY,
    occurred_at    timestamptz NOT NULL,
    place          text NOT NULL,
    magnitude      numeric(3, 1) NOT NULL,
    magnitude_type text NOT NULL,
    depth_km       numeric(6, 2) NOT NULL,
    latitude       double precision NOT NULL,
    longitude      double precision NOT NULL,
    felt_reports   integer,           -- people who reported it; NULL if nobody did
    alert          text,              -- PAGER alert level; NULL if none was issued
    tsunami        boolean NOT NULL   -- a tsunami bulletin was linked to it
);

INSERT INTO my_table VALUES
    ('us1000chhc', '2018-02-06 15:50:42.400+00', '22km NNE of Hualian, Taiwan', 6.4, 'mww', 10.64, 24.1737, 121.653, 261, 'green', false),
    ('us1000cfn6', '2018-02-04 13:56:42.150+00', '21km NNE of Hualian, Taiwan', 6.1, 'mww', 11.97, 24.1595, 121.6777, 294, 'green', false),
    ('us2000crmu', '2018-01-31 07:07:00.230+00', '35km S of Jarm, Afghanistan', 6.1, 'mww', 191.19, 36.5432, 70.8155, 438, 'green', false),
    ('us1000ce9r', '2018-02-02 11:37:53.320+00', '265km NE of Scott Island Bank, Antarctica', 6.0, 'mww', 10.00, -65.8111, -175.635, NULL, 'green', false),
    ('us1000cdn0', '2018-02-01 11:05:50.540+00', '272km SSE of Sigave, Wallis and Futuna', 6.0, 'mww', 10.00, -16.645, -177.3954, NULL, 'green', false),
    ('us2000crtj', '2018-01-31 16:37:06.080+00', '55km SE of Pedasi, Panama', 5.7, 'mww', 10.00, 7.2307, -79.6307, 30, 'green', false),
    ('us1000chl5', '2018-02-06 18:37:59.190+00', '67km NNE of Isangel, Vanuatu', 5.6, 'mww', 246.28, -18.9718, 169.4658, NULL, 'green', false),
    ('us2000crq6', '2018-01-31 11:49:39.210+00', '34km SE of Lae, Papua New Guinea', 5.6, 'mww', 74.70, -6.9339, 147.218, 9, 'green', true),
    ('us1000ce2h', '2018-02-02 00:20:42.860+00', '138km SE of Modayag, Indonesia', 5.5, 'mww', 51.20, -0.2312, 125.2095, NULL, 'green', false),
    ('us1000chln', '2018-02-06 19:15:28.390+00', '15km ESE of Hualian, Taiwan', 5.4, 'mww', 8.62, 23.942, 121.7566, 6, NULL, false),
    ('us1000cdnc', '2018-02-01 10:59:57.940+00', '251km SSE of Sigave, Wallis and Futuna', 5.4, 'mww', 10.00, -16.3907, -177.2451, NULL, NULL, false),
    ('us1000cdjw', '2018-02-01 04:18:30.970+00', 'Pacific-Antarctic Ridge', 5.4, 'mb', 10.00, -56.9349, -140.8504, NULL, NULL, false),
    ('us1000chjm', '2018-02-06 18:07:39.270+00', '17km ENE of Hualian, Taiwan', 5.3, 'mb', 11.09, 24.0413, 121.759, 4, NULL, false),
    ('us1000cga3', '2018-02-05 20:56:22.220+00', '200km W of Chichi-shima, Japan', 5.3, 'mww', 465.11, 26.9956, 140.1973, NULL, NULL, false),
    ('us1000cfnf', '2018-02-04 14:13:12.150+00', '22km NE of Hualian, Taiwan', 5.3, 'mww', 8.71, 24.1247, 121.7624, NULL, NULL, false),
    ('us1000cfmu', '2018-02-04 13:12:52.130+00', '24km NNE of Hualian, Taiwan', 5.3, 'mb', 11.77, 24.1692, 121.7191, 10, NULL, false),
    ('us1000cdbe', '2018-01-31 19:15:51.660+00', '166km W of Lata, Solomon Islands', 5.3, 'mb', 10.00, -10.7783, 164.3154, NULL, NULL, false),
    ('us2000crle', '2018-01-31 03:13:14.380+00', '84km SSE of Panguna, Papua New Guinea', 5.3, 'mww', 82.18, -6.9796, 155.8581, NULL, NULL, true),
    ('us2000crkq', '2018-01-31 02:00:31.800+00', '50km NNW of Sangiang, Indonesia', 5.3, 'mb', 15.18, -7.8628, 118.7906, 4, NULL, false),
    ('us1000chj0', '2018-02-06 18:00:13.560+00', '17km ENE of Hualian, Taiwan', 5.2, 'mww', 6.78, 24.0521, 121.756, 2, NULL, false),
    ('us1000cfz6', '2018-02-05 09:25:20.040+00', 'Off the east coast of the North Island of New Zealand', 5.2, 'mb', 8.78, -35.5315, 178.8275, NULL, NULL, false),
    ('us1000cfsg', '2018-02-04 19:55:05.120+00', '42km SSE of Habibola, Indonesia', 5.2, 'mww', 142.29, -9.1216, 122.4742, NULL, NULL, false),
    ('us1000cfnw', '2018-02-04 14:16:55.050+00', '18km NE of Hualian, Taiwan', 5.2, 'mb', 9.42, 24.0972, 121.7267, 3, NULL, false),
    ('us1000cfmz', '2018-02-04 13:24:32.600+00', '220km NE of Nord, Greenland', 5.2, 'mb', 10.00, 82.9954, -6.4127, NULL, NULL, false),
    ('us1000cfmx', '2018-02-04 13:23:08.530+00', '219km NE of Nord, Greenland', 5.2, 'mb', 10.00, 83.0422, -6.7549, NULL, NULL, false),
    ('us1000cfau', '2018-02-03 13:06:03.780+00', '101km ENE of Visokoi Island, South Georgia and the South Sandwich Islands', 5.2, 'mb', 10.00, -56.2764, -25.7488, NULL, NULL, false),
    ('us1000ceb4', '2018-02-02 12:55:05.590+00', '260km NE of Scott Island Bank, Antarctica', 5.2, 'mb', 10.00, -65.8617, -175.6578, NULL, NULL, false),
    ('us1000ce18', '2018-02-01 23:13:54.440+00', '55km WSW of Calingasta, Argentina', 5.2, 'mww', 106.91, -31.5181, -69.9474, 12, NULL, false),
    ('us1000cdgu', '2018-01-31 23:13:21.590+00', '27km ESE of Palora, Ecuador', 5.2, 'mb', 18.66, -1.7559, -77.6944, 22, NULL, false),
    ('us1000chhq', '2018-02-06 16:17:57.980+00', '6km SE of Hualian, Taiwan', 5.1, 'mb', 10.00, 23.9342, 121.654, 4, NULL, false),
    ('us1000ceuw', '2018-02-02 23:30:02.240+00', 'Southeast Indian Ridge', 5.1, 'mb', 10.00, -41.6706, 85.087, NULL, NULL, false),
    ('us1000ceqp', '2018-02-02 21:16:10.260+00', '28km WSW of Dadali, Solomon Islands', 5.1, 'mb', 148.34, -8.1536, 158.797, NULL, NULL, false),
    ('us1000ce69', '2018-02-02 06:23:56.230+00', 'Reykjanes Ridge', 5.1, 'mww', 10.00, 53.1471, -35.1364, NULL, NULL, false),
    ('us2000crtp', '2018-01-31 16:41:52.830+00', '41km E of Pedasi, Panama', 5.1, 'mb', 10.00, 7.4777, -79.6614, 7, NULL, false),
    ('us2000crse', '2018-01-31 15:26:51.360+00', 'Line Islands, Kiribati region', 5.1, 'mb', 13.95, 5.03, -164.2636, NULL, NULL, false),
    ('us1000chs5', '2018-02-06 21:54:00.730+00', '98km ESE of Vanj, Tajikistan', 5.0, 'mb', 107.81, 38.1608, 72.5446, 1, NULL, false),
    ('us1000chbp', '2018-02-06 04:48:47.340+00', '144km W of Constitucion, Chile', 5.0, 'mb', 10.00, -35.2607, -74.0065, 4, NULL, false),
    ('us1000cfz5', '2018-02-05 09:29:49.470+00', 'Reykjanes Ridge', 5.0, 'mb', 10.00, 53.6741, -35.4132, NULL, NULL, false),
    ('us1000cflk', '2018-02-04 09:06:50.880+00', 'Southern Mid-Atlantic Ridge', 5.0, 'mb', 10.00, -29.5013, -13.6696, NULL, NULL, false),
    ('us1000chq1', '2018-02-06 20:56:22.750+00', '15km ENE of Hualian, Taiwan', 4.9, 'mb', 9.91, 24.054, 121.7366, NULL, NULL, false);
