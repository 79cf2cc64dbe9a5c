"""The records of the data sets that gnnkit knows by name."""

from __future__ import annotations

from functools import partial

from gnnkit.data.dataset import Dataset
from gnnkit.data.detectors import read_detectors, read_largest, read_los_loop, read_pems
from gnnkit.data.files import DataFile
from gnnkit.data.published import (
    DAY,
    WEEK,
    read_air,
    read_danube,
    read_electricity,
    read_exchange,
    read_mobility,
    read_pedalme,
    read_tables,
    read_wind,
)
from gnnkit.data.simulate import simulate_traffic

__all__ = ["RECORDS"]

_GITHUB = "https://raw.githubusercontent.com"
_COLAGNN = f"{_GITHUB}/amy-deng/colagnn/7da87d6dad05d38f914aae9224b4814743d5584e/data"
_EPIGNN = f"{_GITHUB}/Xiefeng69/EpiGNN/1c0bb8c2e162126c30eeb76218ee264cbad0e217/data"
_METRO = f"{_GITHUB}/JinleiZhangBJTU/ResNet-LSTM-GCN/78b257bb362d1d0b48bce6fda6250ed67b2e8381"
_ETT = f"{_GITHUB}/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small"
_TEMPORAL = f"{_GITHUB}/benedekrozemberczki/pytorch_geometric_temporal/adefe44265ad8faf239fd6cf3b59b95ca3ee60aa/dataset"
_EXTREMES = f"{_GITHUB}/sebastian-engelke/graphicalExtremes/5248c116cb0f9f73709cc7d0c4acaf8e4a008750/data"
_GNAR = f"{_GITHUB}/cran/GNAR/93f1211efc5e495b1afa118cb1bc45d2a637f8b0/data"
_RATES = f"{_GITHUB}/laiguokun/multivariate-time-series-data/7f402f185cc2435b5e66aed13a3b560ed142e023/exchange_rate"
_MOBILITY = f"{_GITHUB}/geopanag/pandemic_tgnn/2451cda75b8b5de3f254e70cb8fb9e06445da588/data/France"
_T_GCN = "https://raw.githubusercontent.com/lehaifeng/T-GCN/master/data"
_LOS_LOOP = (
    DataFile("los_speed.csv", _T_GCN, 3402125, "7b732d86ae32b2930595becba28aff39dacbfb2197e250fc0332e1744ce2cbf4"),
    DataFile("los_adj.csv", _T_GCN, 111686, "7a6eb41e10677992b5af50f5ab187c6c05c5c3a92cb973950cfddbf857361e76"),
)
_FLU = (
    (
        "state-flu",
        "49 US states, 360 weeks",
        DataFile("state360.txt", _COLAGNN, 93588, "364c1047dba84bc62b9011360332b679bc9cbcba1dbff1b9db210166f4289bf1"),
        DataFile("state-adj.txt", _COLAGNN, 4802, "e8b147e43035bbf59deb9114af87b8bc6b098d031d3aeb9ed38338d19eeb087c"),
    ),
    (
        "japan-flu",
        "47 prefectures of Japan, 348 weeks",
        DataFile("japan.txt", _COLAGNN, 85456, "404600764e7a592bc6cc2e02a6d215efc452757d83a5da61c7df3a545f39411e"),
        DataFile("japan-adj.txt", _COLAGNN, 4418, "6ad39f92b3f339f12eec06810bbaecff964e8f19660f481c6279f1476be06006"),
    ),
    (
        "region-flu",
        "10 US regions, 785 weeks",
        DataFile("region785.txt", _COLAGNN, 48229, "f6e7fdf21423dc5d43ef82cbde95eca5609c723973cb4aa4dd157de5b149a6cc"),
        DataFile("region-adj.txt", _COLAGNN, 200, "45168c9c561f0fa28eab8e8d3b8ee740fbe63bc75935565a8c99337963510548"),
    ),
)
RECORDS = (
    Dataset(
        "simulated",
        "generated freeways (cell transmission model): 64 sensors, 2016 rows of 5-minute speeds in mph",
        simulate_traffic,
        licence="MIT",
        source="gnnkit.data.simulate",
        paper="Daganzo (1994, 1995)",
    ),
    Dataset(
        "los-loop",
        "Los Angeles loop detectors, 1 to 7 March 2012: 207 sensors, 2016 rows of 5-minute speeds in mph",
        read_los_loop,
        source="github.com/lehaifeng/T-GCN, data/ (a week of METR-LA)",
        paper="Zhao et al. (2020)",
        files=_LOS_LOOP,
        folder="losloop",
        unit="mph",
        season=288,
    ),
    Dataset(
        "metr-la",
        "Los Angeles loop detectors, March to June 2012: 207 sensors, 34272 rows; fetch its files by hand",
        partial(read_detectors, "metr-la.h5", "distances_la_2012.csv"),
        source="github.com/liyaguang/DCRNN",
        paper="Li et al. (2018)",
        files=(DataFile("metr-la.h5"), DataFile("distances_la_2012.csv")),
        unit="mph",
        season=288,
    ),
    Dataset(
        "pems-bay",
        "Bay Area detectors, January to June 2017: 325 sensors, 52116 rows; fetch its files by hand",
        partial(read_detectors, "pems-bay.h5", "distances_bay_2017.csv"),
        source="github.com/liyaguang/DCRNN",
        paper="Li et al. (2018)",
        files=(DataFile("pems-bay.h5"), DataFile("distances_bay_2017.csv")),
        unit="mph",
        season=288,
    ),
    *(
        Dataset(
            name,
            f"influenza-like illness in {places}; those with a border are joined",
            partial(read_tables, name, series.name, graph.name, "n", step_minutes=WEEK),
            source="github.com/amy-deng/colagnn",
            paper="Deng et al. (2020)",
            files=(series, graph),
            unit="cases",
            laid_out=f"graphs/{name}",
        )
        for name, places, series, graph in _FLU
    ),
    Dataset(
        "spain-covid",
        "new infections in 52 provinces of Spain, 122 days; those with a border are joined",
        partial(read_tables, "spain-covid", "spain-covid.txt", "spain-adj.txt", "p", step_minutes=DAY),
        source="github.com/Xiefeng69/EpiGNN",
        paper="Xie et al. (2022)",
        files=(
            DataFile(
                "spain-covid.txt", _EPIGNN, 14659, "0e917d49fb1d872a1c5e4b8c98630b215a356485948b6de25dec1ac65b90dce6"
            ),
            DataFile(
                "spain-adj.txt", _EPIGNN, 5408, "81ae0d7075168d1fa85e38e229e9d78a8a2b0513c23b0f5886454fd7182de75a"
            ),
        ),
        unit="cases",
        laid_out="graphs/spain-covid",
    ),
    Dataset(
        "beijing-metro",
        "passengers who enter 276 stations, 25 weekdays of 72 quarter hours; neighbours on a line are joined",
        partial(
            read_tables,
            "beijing-metro",
            "in_15min.csv",
            "adjacency.csv",
            "m",
            nodes_first=True,
            step_minutes=15.0,
            season=72,
        ),
        source="github.com/JinleiZhangBJTU/ResNet-LSTM-GCN",
        paper="Zhang et al. (2020)",
        files=(
            DataFile(
                "in_15min.csv",
                f"{_METRO}/data/inflowdata",
                1782446,
                "f4dd5329fddb7bb6ccca823092d4b5672dfc434f4f682ec2c64970a0f795a3e8",
            ),
            DataFile(
                "adjacency.csv", _METRO, 152628, "4f91efa682c91c56994554745ca9c5c82142c48a54022bcc916be48e56dbc2ad"
            ),
        ),
        unit="passengers",
        laid_out="graphs/beijing-metro",
    ),
    Dataset(
        "danube",
        "discharge of the Danube and its tributaries at 31 gauges, 41,352 days; columns do not run together",
        read_danube,
        licence="GPL-3",
        source="the R package graphicalExtremes, danube.rda",
        paper="Asadi et al. (2015)",
        files=(
            DataFile(
                "danube.rda", _EXTREMES, 1072566, "9035302cb5770565c330909c193b407b769b1c59e97c503da8458c20d20dfc99"
            ),
        ),
        unit="m³/s",
        laid_out="graphs/danube",
    ),
    Dataset(
        "uk-wind",
        "wind at 102 British stations, 721 hours, scaled by its publishers; near neighbours are joined",
        read_wind,
        licence="Open Government Licence",
        source="the R package GNAR, vswind.rda",
        paper="Knight et al. (2020)",
        files=(
            DataFile("vswind.rda", _GNAR, 40476, "35ea278ef453e8f4b5ee9bcfe0694c740db271f7cdaa07f0c7e08b8c8d5efde4"),
        ),
        laid_out="graphs/uk-wind",
    ),
    Dataset(
        "beijing-air",
        "fine dust at 12 stations in Beijing, 17,544 hours, with the weather; fetch it by hand",
        read_air,
        licence="CC BY 4.0",
        source="UCI, Beijing multi-site air quality, its tables put into one",
        paper="Zhang et al. (2017)",
        files=(
            DataFile("long.csv.gz"),
            DataFile("places.csv"),
        ),
        unit="µg/m³",
        laid_out="graphs/beijing-air",
    ),
    Dataset(
        "france-mobility",
        "new infections in 94 French départements, 78 days; edges: people who moved, mean of the training days",
        read_mobility,
        licence="MIT",
        source="github.com/geopanag/pandemic_tgnn, data/France; its folder graphs by hand",
        paper="Panagopoulos et al. (2021)",
        files=(
            DataFile(
                "france_labels.csv",
                _MOBILITY,
                17471,
                "a122b8c64bd48754a1ad835d66e5bda7baf18bdf4e2aac6861758e5965ef7339",
            ),
            DataFile("graphs/FR_2020-03-10.csv"),
        ),
        unit="cases",
        laid_out="graphs/france-mobility",
    ),
    Dataset(
        "pedalme",
        "deliveries by bicycle in 15 parts of London, 35 weeks, standardised; every pair has a weight",
        read_pedalme,
        licence="MIT",
        source="github.com/benedekrozemberczki/pytorch_geometric_temporal",
        paper="Rozemberczki et al. (2021)",
        files=(
            DataFile(
                "pedalme_london.json",
                _TEMPORAL,
                17156,
                "8c42b893441901fb805c4f0f937543d5bb9297884ac3dec7622a3e9f7c35a79b",
            ),
        ),
        laid_out="graphs/pedalme",
    ),
    Dataset(
        "exchange-rate",
        "rates of 8 currencies, 7588 days from 1990 on; no graph",
        read_exchange,
        source="github.com/laiguokun/multivariate-time-series-data",
        paper="Lai et al. (2018)",
        files=(
            DataFile(
                "exchange_rate.txt.gz",
                _RATES,
                177142,
                "6a4fbb561dcdee43f071a83badbeec9223a335552278348656738b556f1c2e9d",
            ),
        ),
        folder="exchange_rate",
    ),
    *(
        Dataset(
            name.lower(),
            "oil temperature and six loads of a transformer, two years, a row an hour; no graph",
            partial(read_electricity, name, 1),
            licence="CC BY-ND 4.0",
            source="github.com/zhouhaoyi/ETDataset",
            paper="Zhou et al. (2021)",
            files=(DataFile(f"{name}.csv", _ETT, size, sha256),),
            folder="ett",
        )
        for name, size, sha256 in (
            ("ETTh1", 2589657, "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
            ("ETTh2", 2417960, "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b"),
        )
    ),
    *(
        Dataset(
            name.lower(),
            "oil temperature and six loads of a transformer, two years, four rows an hour; fetch it by hand; no graph",
            partial(read_electricity, name, 4),
            licence="CC BY-ND 4.0",
            source="github.com/zhouhaoyi/ETDataset",
            paper="Zhou et al. (2021)",
            files=(DataFile(f"{name}.csv"),),
            folder="ett",
        )
        for name in ("ETTm1", "ETTm2")
    ),
    *(
        Dataset(
            name.lower(),
            f"vehicles at {detectors} detectors, {rows} rows of 5 minutes; fetch its files by hand",
            partial(read_pems, name, start),
            source="github.com/Davidham3/STSGCN",
            paper="Song et al. (2020)",
            files=tuple(
                DataFile(f"{name}.{ending}") for ending in ("npz", "csv", "txt")[: 3 if name == "PEMS03" else 2]
            ),
            unit="vehicles",
            season=288,
        )
        for name, detectors, rows, start in (
            ("PEMS03", 358, 26208, "2018-09-01"),
            ("PEMS04", 307, 16992, "2018-01-01"),
            ("PEMS07", 883, 28224, None),
            ("PEMS08", 170, 17856, "2016-07-01"),
        )
    ),
    *(
        Dataset(
            f"largest-{region}",
            f"vehicles at {detectors} detectors of {place}, 2019; fetch its files by hand",
            partial(read_largest, region),
            licence="MIT",
            source="github.com/liuxu77/LargeST",
            paper="Liu et al. (2023)",
            files=(DataFile(f"{region}_his_2019.h5"), DataFile(f"{region}_rn_adj.npy")),
            folder="largest",
            unit="vehicles",
        )
        for region, detectors, place in (
            ("sd", 716, "San Diego"),
            ("gba", 2352, "the Bay Area"),
            ("gla", 3834, "Los Angeles"),
            ("ca", 8600, "California"),
        )
    ),
)
