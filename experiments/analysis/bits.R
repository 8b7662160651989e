# How are the bits of an example spread? Rscript bits.R RESULTS_FOLDER OUT_FIGURE.pdf|.svg|.png
# Histograms of bits per dimension over the test examples, first seed, of all models with an exact likelihood: compare.h5 by rhdf5, which
# turns the order of axes about. An exact density of dequantised levels bounds the code length of each example from above, as the axis then says.
suppressMessages(library(rhdf5))
args <- commandArgs(trailingOnly = TRUE)
if (length(args) != 2) stop("usage: Rscript bits.R RESULTS_FOLDER OUT_FIGURE")
file <- file.path(args[1], "compare.h5")
listed <- h5ls(file)
groups <- sub("^/", "", listed$group[listed$name == "log_likelihood" & grepl("^/[^/]*/test$", listed$group)])
of_levels <- function(g) any(h5read(file, paste0(g, "/bits_kind"))[h5read(file, paste0(g, "/estimator")) == "exact", ] != "none")
groups <- Filter(of_levels, groups)
if (length(groups) == 0) stop(file, ": no exact likelihood of levels, which bits per dimension need")
device <- switch(tools::file_ext(args[2]), svg = svg, pdf = pdf, function(...) png(..., units = "in", res = 100, type = "cairo"))
device(args[2], width = 6 * length(groups), height = 4.5)
par(mfrow = c(1, length(groups)), cex.main = 1)
for (g in groups) {
  get <- function(name) h5read(file, paste0(g, "/", name))
  e <- which(get("estimator") == "exact")
  models <- which(get("kind")[e, ] == "exact" & get("chosen") == 1)
  run <- Sys.glob(file.path(args[1], dirname(g), "*", "seed-*", "result.h5"))[1]
  nats_a_bit <- length(h5read(run, "data/test/dim")) * log(2) # of one dimension
  ll <- matrix(get("log_likelihood")[, 1, e, models, drop = FALSE], ncol = length(models))
  models <- models[!is.na(colSums(ll))] # a first seed that diverged
  ll <- ll[, !is.na(colSums(ll)), drop = FALSE]
  if (length(models) == 0) next
  bits <- sapply(seq_along(models), function(m) {
    get("summary/bits_per_dim")[1, e, models[m]] + (get("summary/mean")[1, e, models[m]] - ll[, m]) / nats_a_bit
  })
  end <- quantile(bits, 0.998) # a few examples would make one bin of all others
  breaks <- pretty(c(min(bits), end), 60)
  counts <- apply(bits, 2, function(b) hist(b[b <= max(breaks)], breaks, plot = FALSE)$counts)
  bound <- if (get("bits_kind")[e, models[1]] == "exact") "" else ", at most"
  matplot(head(breaks, -1), counts, type = "s", lty = 1, col = seq_along(models), main = paste0(dirname(g), ": ", sum(bits > max(breaks)), " of ", length(bits), " lie to the right"),
          xlab = paste0("bits per dimension", bound), ylab = "test examples")
  legend("topright", get("model")[models], col = seq_along(models), lty = 1, bty = "n")
}
invisible(dev.off())
