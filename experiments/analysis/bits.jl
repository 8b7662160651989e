# How are the bits of an example spread? Not run here, for want of Julia: julia bits.jl RESULTS_FOLDER OUT_FIGURE (HDF5.jl, Plots.jl, Glob.jl)
# As bits.R: histograms of bits per dimension of the test examples, first seed, models with an exact likelihood. HDF5.jl turns the order of axes
# about: log_likelihood arrives as example x seed x estimator x model.
using HDF5, Plots, Glob
folder, figure = ARGS
panels = []
h5open(joinpath(folder, "compare.h5")) do f
    for g in keys(f)
        haskey(f[g], "test") || continue
        t = f[g]["test"]
        e = findfirst(==("exact"), read(t["estimator"]))
        e === nothing && continue
        models = findall((read(t["kind"])[e, :] .== "exact") .& (read(t["chosen"]) .== 1))
        run = first(glob("$g/*/seed-*/result.h5", folder))
        dim = h5open(r -> length(r["data/test/dim"]), run)
        ll, bits, means = read(t["log_likelihood"]), read(t["summary/bits_per_dim"]), read(t["summary/mean"])
        words = read(t["bits_kind"])[e, models[1]] == "exact" ? "bits per dimension" : "bits per dimension, at most"
        p = plot(xlabel = words, ylabel = "test examples", title = g)
        for m in models
            stephist!(p, bits[1, e, m] .+ (means[1, e, m] .- ll[:, 1, e, m]) ./ (dim * log(2)), bins = 60, label = read(t["model"])[m])
        end
        push!(panels, p)
    end
end
savefig(plot(panels..., layout = (1, length(panels)), size = (600 * length(panels), 450)), figure)
