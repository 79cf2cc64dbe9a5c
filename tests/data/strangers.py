"""Three made-up data sets of other fields, in files as a stranger would have them."""

import numpy as np
import pandas as pd


def weekly_cases(folder):
    """Ten years of weekly disease counts in 20 regions: a wave every winter that starts in one place and spreads."""
    rng = np.random.default_rng(0)
    x, y = rng.random(20), rng.random(20)
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    week = np.arange(520)[:, None]
    delay = 6 * distance[0] + 0.5 * rng.random(20)  # weeks after the first region
    wave = np.exp(3 * np.cos(2 * np.pi * (week - 4 - delay) / 52.18))
    size = rng.lognormal(1.0, 1.0, 20)
    cases = rng.poisson(size * wave * rng.gamma(8, 1 / 8, (520, 1)) / 3)
    names = [f"region {number + 1}" for number in range(20)]
    frame = pd.DataFrame(cases, index=pd.date_range("2015-01-05", periods=520, freq="7D"))
    frame.set_axis(names, axis=1).to_csv(folder / "cases.csv", index_label="week")
    near = (distance < np.sort(distance, axis=1)[:, 4:5]) & (distance > 0)
    edges = [(names[i], names[j], float(1 / distance[i, j])) for i, j in zip(*near.nonzero(), strict=True)]
    pd.DataFrame(edges, columns=["source", "target", "weight"]).to_csv(folder / "borders.csv", index=False)
    return folder / "cases.csv", folder / "borders.csv"


def brain_regions(folder):
    """129 sensors × 60 samples, nothing known of time: oscillations of a few sources, tiny in size, no names."""
    rng = np.random.default_rng(1)
    sources = np.zeros((60, 3))
    for row in range(2, 60):
        sources[row] = 1.5 * sources[row - 1] - 0.8 * sources[row - 2] + rng.normal(size=3)
    mixing = rng.normal(size=(3, 129))
    samples = (sources @ mixing + 0.5 * rng.normal(size=(60, 129))) * 1e-6
    samples[:, 17] = 0.0  # a dead channel
    np.savetxt(folder / "samples.csv", samples, delimiter=",", fmt="%.6e")
    correlation = np.abs(np.corrcoef(mixing.T))
    np.savetxt(folder / "connectivity.csv", np.where(correlation > 0.9, correlation, 0), delimiter=",", fmt="%.4f")
    return folder / "samples.csv", folder / "connectivity.csv"


def air_quality(folder):
    """A month of hourly particulate matter at 675 stations: rush hours, weather that drifts, a tenth missing."""
    rng = np.random.default_rng(2)
    hour = np.arange(744)
    rush = np.exp(-(((hour % 24) - 8) ** 2) / 6) + 0.8 * np.exp(-(((hour % 24) - 19) ** 2) / 8)
    weather = pd.Series(rng.normal(size=744)).ewm(halflife=18).mean().to_numpy() * 4
    place = rng.random(675)
    lag = (place * 6).astype(int)
    values = np.exp(2.5 + 0.3 * np.stack([np.roll(weather, shift) for shift in lag], axis=1))
    values = values * (1 + rush[:, None] * rng.uniform(0.2, 1.0, 675)) + rng.gamma(2.0, 1.0, (744, 675))
    values[rng.random((744, 675)) < 0.05] = np.nan
    for station in rng.choice(675, 200, replace=False):  # and outages
        first = rng.integers(0, 700)
        values[first : first + rng.integers(10, 200), station] = np.nan
    values[:, 300] = np.nan  # a station that never reported
    frame = pd.DataFrame(values.round(1), index=pd.date_range("2024-01-01", periods=744, freq="h"))
    frame.columns = [f"S{number:04d}" for number in range(675)]
    frame = frame.drop(frame.index[100:103])  # rows that were never written
    frame.to_csv(folder / "pm10.csv", sep=";", decimal=",", date_format="%d.%m.%Y %H:%M", index_label="Zeit")
    return folder / "pm10.csv", None


STRANGERS = {"weekly-cases": weekly_cases, "brain-regions": brain_regions, "air-quality": air_quality}
