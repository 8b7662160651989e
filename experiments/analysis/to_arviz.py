"""Test log-likelihoods as ArviZ reads them: to_arviz.py RESULTS_FOLDER OUT_FOLDER; OUT_FOLDER/DATASET-VIEW/MODEL.nc for each exact model.

A file has the group log_likelihood (chain, draw, example) of InferenceData with one chain of one draw, the trained model of the first
seed. Its WAIC is the sum of the test log-likelihoods and the penalty 0, so that az.compare orders models by what taxon measured, with errors
of pairs; loo is about draws of a posterior and the rows they were given, which these are not. ArviZ itself was not run here:

    import arviz as az, glob, pathlib
    az.compare({pathlib.Path(p).stem: az.from_netcdf(p) for p in glob.glob("OUT_FOLDER/DATASET-VIEW/*.nc")}, ic="waic", method="pseudo-BMA")"""
import pathlib
import sys

import h5py
import xarray as xr

if len(sys.argv) != 3:
    sys.exit(__doc__)
folder, out = sys.argv[1], pathlib.Path(sys.argv[2])
with h5py.File(f"{folder}/compare.h5") as f:
    tests = [group for group in f if f"{group}/test/log_likelihood" in f and "exact" in f[group]["test/estimator"].asstr()[()]]
if not tests:
    sys.exit(f"{folder}/compare.h5: no exact likelihood of test examples")
for group in tests:
    with xr.open_dataset(f"{folder}/compare.h5", group=f"{group}/test", engine="h5netcdf") as c:
        c = c.sel(estimator="exact").isel(seed=[0])
        for model in c.model.values[((c.kind == "exact") & (c.chosen == 1) & (c.status == 0).all("seed")).values]:
            ll = c.log_likelihood.sel(model=model).drop_vars(["model", "estimator", "seed"]).rename(seed="draw")
            ll = ll.assign_coords(draw=[0]).expand_dims(chain=[0]).rename("x")
            (out / group).mkdir(parents=True, exist_ok=True)
            about = {"creation_library": "taxon", "measure": c.measure.sel(model=model).item(), "seed": int(c.seed[0])}
            ll.to_dataset().assign_attrs(about).to_netcdf(out / group / f"{model}.nc", group="log_likelihood", engine="h5netcdf")
